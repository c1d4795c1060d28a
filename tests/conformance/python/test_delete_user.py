"""DeleteUser: a user is gone for good, and only if it is the one that was meant."""

import uuid

import pytest
import user_service_pb2 as pb

from refusals import invalid, refused


def request(user, **fields):
    return pb.DeleteUserRequest(user_id=user.id, **fields)


def test_a_deleted_user_is_found_by_neither_id_nor_email(users, user):
    users.DeleteUser(request(user))
    for lookup in [
        lambda: users.GetUser(pb.GetUserRequest(user_id=user.id)),
        lambda: users.GetUserByEmail(pb.GetUserByEmailRequest(email=user.email)),
        lambda: users.DeleteUser(request(user)),
    ]:
        refused(lookup, "NOT_FOUND", "USER_NOT_FOUND")


def test_the_email_of_a_deleted_user_is_free(users, user):
    users.DeleteUser(request(user))
    again = users.CreateUser(pb.CreateUserRequest(email=user.email.upper()))
    assert again.id != user.id and again.revision > user.revision


@pytest.mark.parametrize("user_id", [str(uuid.UUID(int=7)), "not a uuid", ""])
def test_nobody_is_not_found(users, user_id):
    unknown = pb.DeleteUserRequest(user_id=user_id)
    refused(lambda: users.DeleteUser(unknown), "NOT_FOUND", "USER_NOT_FOUND")


def test_a_deletion_expects_a_revision(users, user):
    stale = request(user, expected_revision=user.revision + 1)
    refused(lambda: users.DeleteUser(stale), "ABORTED", "REVISION_MISMATCH")
    users.DeleteUser(request(user, expected_revision=user.revision))


def test_a_repeated_deletion_is_given_the_first_answer(users, user):
    repeated = request(user, request_id=str(uuid.uuid4()))
    users.DeleteUser(repeated)
    users.DeleteUser(repeated)


def test_a_malformed_request_id_is_refused(users, user):
    invalid(lambda: users.DeleteUser(request(user, request_id="42")), "request_id")
