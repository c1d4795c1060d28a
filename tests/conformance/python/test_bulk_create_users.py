"""BulkCreateUsers: good items are created, bad ones are counted and listed, and size is bounded."""

import re
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import user_service_pb2 as pb
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from refusals import refused

STREAM_MAX = 100_000
LISTED_MAX = 100


def bulk(users, emails):
    return users.BulkCreateUsers(pb.CreateUserRequest(email=email) for email in emails)


def test_bad_items_among_good_are_counted_and_listed(users):
    taken = users.CreateUser(pb.CreateUserRequest(email="taken@bulk.example"))
    answer = bulk(users, [
        "one@bulk.example", "nobody", "TAKEN@bulk.example", "two@bulk.example", "",
        "One@Bulk.Example", "three@bulk.example",
    ])
    assert (answer.created_count, answer.failed_count) == (3, 4)
    assert [(bad.index, bad.email, bad.code, bad.reason) for bad in answer.failures] == [
        (1, "nobody", 3, "FIELD_INVALID"),
        (2, "TAKEN@bulk.example", 6, "EMAIL_TAKEN"),
        (4, "", 3, "FIELD_INVALID"),
        (5, "One@Bulk.Example", 6, "EMAIL_TAKEN"),
    ]
    assert all(bad.message for bad in answer.failures)
    found = users.BatchGetUsers(pb.BatchGetUsersRequest(user_ids=answer.user_ids)).users
    assert [user.email for user in found] == [
        "one@bulk.example", "two@bulk.example", "three@bulk.example",
    ]
    assert taken.id not in answer.user_ids


def test_an_empty_stream_creates_nobody(users):
    assert bulk(users, []) == pb.BulkCreateResponse()


def test_items_have_all_the_fields_of_a_new_user(users):
    item = pb.CreateUserRequest(
        email="fields@bulk.example", name="Fields", password="a fine password",
        attributes={"team": "red"}, status=pb.USER_STATUS_INACTIVE,
    )
    [user_id] = users.BulkCreateUsers(iter([item])).user_ids
    user = users.GetUser(pb.GetUserRequest(user_id=user_id))
    assert (user.name, user.status) == ("Fields", pb.USER_STATUS_INACTIVE)
    assert dict(user.attributes) == {"team": "red"}


def test_only_the_first_hundred_failures_are_listed(users):
    answer = bulk(users, ["nobody"] * (LISTED_MAX + 50))
    assert (answer.created_count, answer.failed_count) == (0, LISTED_MAX + 50)
    assert [bad.index for bad in answer.failures] == list(range(LISTED_MAX))


def test_the_email_of_a_failure_is_cut_to_254_octets(users):
    [bad] = bulk(users, ["é" * 500]).failures
    assert bad.email == "é" * 127


def test_small_items_in_many_frames_do_not_cost_the_connection(users):
    """Four uploads wait for the disk at once, each with a window full of the smallest items."""

    def upload(stream):
        items = (pb.CreateUserRequest(email=f"{stream}{n}@a") for n in range(20_000))
        return users.BulkCreateUsers(items).created_count

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(upload, "abcd")) == [20_000] * 4


def test_a_stream_beyond_the_limit_says_how_many_were_kept(users):
    kept = [f"kept{number}@bulk.example" for number in range(3)]
    answer = refused(
        lambda: bulk(users, kept + ["nobody"] * (STREAM_MAX - 2)),
        "RESOURCE_EXHAUSTED", "BULK_LIMIT_EXCEEDED",
    )
    assert "3" in re.findall(r"\d+", answer.message)
    for email in kept:
        assert users.GetUserByEmail(pb.GetUserByEmailRequest(email=email)).email == email


def test_a_malformed_message_ends_the_stream_and_what_came_before_is_kept(channel, users):
    upload = channel.stream_unary("/user.v1.UserService/BulkCreateUsers")  # Takes bytes.
    good = pb.CreateUserRequest(email="kept@malformed.example").SerializeToString()
    with pytest.raises(grpc.RpcError) as caught:
        upload(iter([good, b"\xff"]))
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in rpc_status.from_call(caught.value).details)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (info.reason, info.metadata["created_count"]) == ("MESSAGE_MALFORMED", "1")
    assert users.GetUserByEmail(pb.GetUserByEmailRequest(email="kept@malformed.example")).id
