"""Restarts: what was acknowledged is there after a crash, and a stop is bounded."""

import queue

import grpc
import pytest
import user_service_pb2 as pb
from user_service_pb2_grpc import UserServiceStub

from daemon import Daemon
from refusals import refused


def everyone(daemon):
    with daemon.channel() as channel:
        return list(UserServiceStub(channel).ListUsers(pb.ListUsersRequest()))


def test_a_user_survives_a_crash_right_after_the_answer(data_dir):
    created = []
    with Daemon(data_dir) as daemon:
        for round_number in range(5):
            with daemon.channel() as channel:
                request = pb.CreateUserRequest(email=f"crash.{round_number}@example.org")
                created.append(UserServiceStub(channel).CreateUser(request))
                daemon.kill()
            daemon.start()
            assert everyone(daemon) == created


def test_every_kind_of_change_survives_a_crash(data_dir):
    with Daemon(data_dir) as daemon:
        with daemon.channel() as channel:
            users = UserServiceStub(channel)
            kept, renamed, deleted = (
                users.CreateUser(pb.CreateUserRequest(email=f"{name}@example.org"))
                for name in ["kept", "renamed", "deleted"]
            )
            renamed = users.UpdateUser(
                pb.UpdateUserRequest(user_id=renamed.id, email="new@example.org")
            )
            users.DeleteUser(pb.DeleteUserRequest(user_id=deleted.id))
            daemon.kill()
        daemon.start()
        assert everyone(daemon) == [kept, renamed]
        with daemon.channel() as channel:
            users = UserServiceStub(channel)
            for email in ["renamed@example.org", "deleted@example.org"]:
                lookup = pb.GetUserByEmailRequest(email=email)
                refused(lambda: users.GetUserByEmail(lookup), "NOT_FOUND", "USER_NOT_FOUND")


def test_users_survive_a_stop_and_revisions_go_on(data_dir):
    with Daemon(data_dir) as daemon:
        with daemon.channel() as channel:
            first = UserServiceStub(channel).CreateUser(pb.CreateUserRequest(email="a@example.org"))
        daemon.stop()
        daemon.start()
        assert everyone(daemon) == [first]
        with daemon.channel() as channel:
            later = UserServiceStub(channel).CreateUser(pb.CreateUserRequest(email="b@example.org"))
        assert later.revision > first.revision and later.id > first.id


def test_a_repeated_request_is_recognised_after_a_crash(data_dir):
    request = pb.CreateUserRequest(
        email="again@example.org", request_id="0d4e7b0c-58a4-4c5c-9a55-3f4f1c1d1a01"
    )
    with Daemon(data_dir) as daemon:
        with daemon.channel() as channel:
            first = UserServiceStub(channel).CreateUser(request)
            daemon.kill()
        daemon.start()
        with daemon.channel() as channel:
            assert UserServiceStub(channel).CreateUser(request) == first


def test_an_open_session_does_not_hold_up_a_stop(data_dir):
    steps = queue.SimpleQueue()
    with Daemon(data_dir) as daemon, daemon.channel() as channel:
        users = UserServiceStub(channel)
        user = users.CreateUser(pb.CreateUserRequest(email="open@example.org"))
        session = users.UserUpdates(iter(steps.get, None))
        steps.put(pb.UserUpdateRequest(update=pb.UpdateUserRequest(user_id=user.id, name="Open")))
        assert next(session).name == "Open"
        daemon.stop()
        with pytest.raises(grpc.RpcError) as ended:
            next(session)
        steps.put(None)
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
