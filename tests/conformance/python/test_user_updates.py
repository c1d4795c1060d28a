"""UserUpdates: a live session that answers updates in order and ends at the first refusal."""

import queue

import pytest
import user_service_pb2 as pb

from refusals import refusal, refused


def update(user, **fields):
    return pb.UserUpdateRequest(update=pb.UpdateUserRequest(user_id=user.id, **fields))


def test_updates_are_answered_in_order(users, user):
    names = [f"Name {number}" for number in range(50)]
    answers = list(users.UserUpdates(update(user, name=name) for name in names))
    assert [answer.name for answer in answers] == names
    revisions = [answer.revision for answer in answers]
    assert revisions == sorted(set(revisions))


def test_each_update_is_answered_while_the_session_lives(users, user):
    steps = queue.SimpleQueue()
    answers = users.UserUpdates(iter(steps.get, None))
    for name in ["First", "Second"]:
        steps.put(update(user, name=name))
        assert next(answers).name == name
        assert users.GetUser(pb.GetUserRequest(user_id=user.id)).name == name
    steps.put(None)
    assert list(answers) == []


def test_a_session_without_requests_ends_well(users):
    assert list(users.UserUpdates(iter([]))) == []


@pytest.mark.parametrize("bad, code, reason", [
    ({"name": "x" * 257}, "INVALID_ARGUMENT", "FIELD_INVALID"),
    ({"name": "Stale", "expected_revision": 1 << 40}, "ABORTED", "REVISION_MISMATCH"),
    ({"name": "Nobody", "user_id": "nobody"}, "NOT_FOUND", "USER_NOT_FOUND"),
])
def test_a_refused_update_ends_the_session_and_all_before_it_stands(users, user, bad, code, reason):
    steps = [
        update(user, name="First"),
        update(user, name="Second"),
        pb.UserUpdateRequest(update=pb.UpdateUserRequest(**{"user_id": user.id, **bad})),
        update(user, name="Fourth"),
    ]
    seen = []
    answer = refused(lambda: seen.extend(users.UserUpdates(iter(steps))), code, reason)
    assert answer.metadata["ordinal"] == "2"
    assert [answer.name for answer in seen] in ([], ["First", "Second"])
    assert users.GetUser(pb.GetUserRequest(user_id=user.id)).name == "Second"


def test_a_request_without_an_action_is_refused(users, user):
    steps = [update(user, name="Before"), pb.UserUpdateRequest()]
    answer = refusal(lambda: users.UserUpdates(iter(steps)))
    assert (answer.code, answer.metadata["ordinal"]) == ("INVALID_ARGUMENT", "1")


def test_a_request_with_an_unknown_action_is_refused(users):
    unknown = pb.UserUpdateRequest.FromString(b"\x7a\x00")
    assert refusal(lambda: users.UserUpdates(iter([unknown]))).code == "INVALID_ARGUMENT"


def test_a_watch_is_not_there_yet(users):
    watch = pb.UserUpdateRequest(watch=pb.WatchUsersRequest())
    refused(lambda: users.UserUpdates(iter([watch])), "UNIMPLEMENTED", "UNIMPLEMENTED")
