"""GetUser, GetUserByEmail and BatchGetUsers: users are found by id and by email, others are not."""

import unicodedata
import uuid

import pytest
import user_service_pb2 as pb

from refusals import invalid, refused

UNKNOWN_IDS = [str(uuid.UUID(int=7)), "", "42", "not a uuid", "x" * 10_000, "ü"]


def test_a_user_is_found_by_id(users, user):
    assert users.GetUser(pb.GetUserRequest(user_id=user.id)) == user


@pytest.mark.parametrize("user_id", UNKNOWN_IDS)
def test_an_id_that_names_nobody_is_not_found(users, user_id):
    request = pb.GetUserRequest(user_id=user_id)
    refused(lambda: users.GetUser(request), "NOT_FOUND", "USER_NOT_FOUND")


def test_a_user_is_found_by_email_in_any_spelling(users):
    created = users.CreateUser(pb.CreateUserRequest(email="Renée.Müller@bücher.example"))
    for email in [
        "Renée.Müller@bücher.example",
        "  renée.müller@BÜCHER.example ",
        "RENÉE.MÜLLER@xn--bcher-kva.example",
        unicodedata.normalize("NFD", "renée.müller@bücher.example"),
    ]:
        assert users.GetUserByEmail(pb.GetUserByEmailRequest(email=email)) == created


def test_an_email_that_nobody_has_is_not_found(users):
    request = pb.GetUserByEmailRequest(email="nobody@example.org")
    refused(lambda: users.GetUserByEmail(request), "NOT_FOUND", "USER_NOT_FOUND")


@pytest.mark.parametrize("email", ["", "nobody", "a\u202eb@example.org"])
def test_what_is_no_email_is_refused(users, email):
    invalid(lambda: users.GetUserByEmail(pb.GetUserByEmailRequest(email=email)), "email")


def test_a_batch_is_answered_in_order_with_repeats_and_the_missing(users, emails):
    made = [users.CreateUser(pb.CreateUserRequest(email=next(emails))) for _ in range(3)]
    ids = [made[2].id, "nobody", made[0].id, made[2].id, UNKNOWN_IDS[0]]
    answer = users.BatchGetUsers(pb.BatchGetUsersRequest(user_ids=ids))
    assert list(answer.users) == [made[2], made[0], made[2]]
    assert list(answer.missing_ids) == ["nobody", UNKNOWN_IDS[0]]


def test_an_empty_batch_is_answered_by_nothing(users):
    assert users.BatchGetUsers(pb.BatchGetUsersRequest()) == pb.BatchGetUsersResponse()


def test_a_batch_holds_500_ids_and_no_more(users, user):
    assert len(users.BatchGetUsers(pb.BatchGetUsersRequest(user_ids=[user.id] * 500)).users) == 500
    request = pb.BatchGetUsersRequest(user_ids=[user.id] * 501)
    invalid(lambda: users.BatchGetUsers(request), "user_ids")
