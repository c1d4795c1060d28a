"""Deadlines and cancellation: a call ends when its caller's time is up or the caller goes."""

import queue
import threading
import time

import grpc
import pytest
import user_service_pb2 as pb


def test_a_session_ends_at_its_deadline(users, user):
    silence = queue.SimpleQueue()
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as ended:
        list(users.UserUpdates(iter(silence.get, None), timeout=0.3))
    silence.put(None)
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 3


def test_a_bulk_that_never_ends_is_cut_at_its_deadline(users):
    silence = queue.SimpleQueue()
    with pytest.raises(grpc.RpcError) as ended:
        users.BulkCreateUsers(iter(silence.get, None), timeout=0.3)
    silence.put(None)
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_deadline_that_has_passed_leaves_a_user_wholly_there_or_absent(users, emails):
    email = next(emails)
    with pytest.raises(grpc.RpcError) as ended:
        users.CreateUser(
            pb.CreateUserRequest(email=email, password="a fine password"), timeout=0.001
        )
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    listed = list(users.ListUsers(pb.ListUsersRequest(email_prefix=email)))
    for user in listed:
        assert users.GetUser(pb.GetUserRequest(user_id=user.id)) == user


def test_a_cancelled_session_leaves_the_daemon_serving(users, user):
    silence = queue.SimpleQueue()
    session = users.UserUpdates(iter(silence.get, None))
    threading.Timer(0.1, session.cancel).start()
    with pytest.raises(grpc.RpcError) as ended:
        list(session)
    silence.put(None)
    assert ended.value.code() is grpc.StatusCode.CANCELLED
    assert users.GetUser(pb.GetUserRequest(user_id=user.id)) == user
