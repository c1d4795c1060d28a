"""UpdateUser: which fields change, with a mask and without one, and which changes are refused."""

import uuid

import pytest
import user_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from refusals import invalid, refused


@pytest.fixture
def update(users, user):
    """Updates the test's user by the fields of a request; `mask` lists the paths of a mask."""

    def update(mask=None, **fields):
        request = pb.UpdateUserRequest(**{"user_id": user.id, **fields})
        if mask is not None:
            request.update_mask.CopyFrom(FieldMask(paths=mask))
        return users.UpdateUser(request)

    return update


def test_fields_that_are_present_change_and_others_stay(users, user, update):
    changed = update(name="Ada King")
    assert (changed.name, changed.email, changed.status) == ("Ada King", user.email, user.status)
    assert changed.revision > user.revision
    assert changed.created_at == user.created_at
    assert changed.updated_at.ToNanoseconds() > user.updated_at.ToNanoseconds()
    assert users.GetUser(pb.GetUserRequest(user_id=user.id)) == changed


def test_a_name_may_become_empty(update):
    assert update(name="").name == ""


def test_a_status_changes_there_and_back(update):
    for status in [pb.USER_STATUS_INACTIVE, pb.USER_STATUS_ACTIVE]:
        assert update(status=status).status == status


def test_an_email_changes_and_the_old_one_is_free(users, user, update, emails):
    email = next(emails)
    assert update(email=email).email == email
    assert users.GetUserByEmail(pb.GetUserByEmailRequest(email=email)).id == user.id
    assert users.CreateUser(pb.CreateUserRequest(email=user.email)).id != user.id


def test_an_email_may_change_its_own_spelling(user, update):
    assert update(email=user.email.upper()).email == user.email.upper()


def test_a_mask_changes_only_what_it_names(user, update):
    changed = update(["name"], name="Masked", email="unmasked@example.org")
    assert (changed.name, changed.email) == ("Masked", user.email)


def test_attributes_change_only_when_masked(update):
    assert dict(update(["attributes"], attributes={"a": "1", "b": "2"}).attributes) == {
        "a": "1", "b": "2",
    }
    assert dict(update(name="Other", attributes={"c": "3"}).attributes) == {"a": "1", "b": "2"}
    assert dict(update(["attributes"], attributes={"c": "3"}).attributes) == {"c": "3"}
    assert dict(update(["attributes"]).attributes) == {}


def test_one_attribute_is_set_or_removed_by_its_key(update):
    update(["attributes"], attributes={"keep": "1", "change": "2", "remove": "3"})
    changed = update(
        ["attributes.change", "attributes.remove", "attributes.add"],
        attributes={"change": "two", "add": "4", "ignored": "5"},
    )
    assert dict(changed.attributes) == {"keep": "1", "change": "two", "add": "4"}


def test_a_change_of_nothing_makes_no_revision(user, update):
    assert update(name=user.name) == user
    assert update() == user


@pytest.mark.parametrize("fields, named", [
    ({"email": "nobody"}, "email"),
    ({"email": ""}, "email"),
    ({"name": "x" * 257}, "name"),
    ({"status": pb.USER_STATUS_UNSPECIFIED}, "status"),
    ({"status": 7}, "status"),
    ({"mask": ["id"]}, "update_mask"),
    ({"mask": ["no_such_field"]}, "update_mask"),
    ({"mask": ["attributes"], "attributes": {"k" * 65: ""}}, "attributes"),
    ({"request_id": "not a uuid"}, "request_id"),
    ({"expected_revision": -1}, "expected_revision"),
])
def test_an_invalid_change_is_refused(update, fields, named):
    invalid(lambda: update(**fields), named)


def test_attributes_are_bounded_over_several_changes(update):
    update(["attributes"], attributes={f"key{number}": "" for number in range(32)})
    invalid(lambda: update(["attributes.more"], attributes={"more": ""}), "attributes")


def test_a_taken_email_is_refused(users, user, update, emails):
    other = users.CreateUser(pb.CreateUserRequest(email=next(emails)))
    refused(lambda: update(email=other.email.upper()), "ALREADY_EXISTS", "EMAIL_TAKEN")
    assert users.GetUser(pb.GetUserRequest(user_id=user.id)) == user


@pytest.mark.parametrize("user_id", [str(uuid.UUID(int=7)), "not a uuid", ""])
def test_a_change_of_nobody_is_not_found(update, user_id):
    refused(lambda: update(user_id=user_id, name="Nobody"), "NOT_FOUND", "USER_NOT_FOUND")


def test_a_change_expects_a_revision(user, update):
    changed = update(name="First", expected_revision=user.revision)
    refused(
        lambda: update(name="Second", expected_revision=user.revision),
        "ABORTED", "REVISION_MISMATCH",
    )
    assert update(name="Second", expected_revision=changed.revision).name == "Second"


def test_a_repeated_change_is_given_the_first_answer(user, update):
    fields = {"name": "Once", "expected_revision": user.revision, "request_id": str(uuid.uuid4())}
    assert update(**fields) == update(**fields)
    refused(
        lambda: update(**{**fields, "name": "Twice"}), "ALREADY_EXISTS", "REQUEST_ID_REUSED"
    )
