"""CreateUser: what a new user looks like, which are refused, and that a call can be repeated."""

import unicodedata
import uuid

import pytest
import user_service_pb2 as pb

from refusals import invalid, refused


def new(**fields):
    return pb.CreateUserRequest(**fields)


def test_a_new_user_is_answered_in_full(users):
    user = users.CreateUser(new(email="full@example.org", name="Full", attributes={"team": "blue"}))
    assert uuid.UUID(user.id).version == 7 and user.id == str(uuid.UUID(user.id))
    assert (user.email, user.name) == ("full@example.org", "Full")
    assert user.status == pb.USER_STATUS_ACTIVE
    assert user.created_at.ToNanoseconds() > 0 and user.updated_at == user.created_at
    assert user.revision > 0
    assert dict(user.attributes) == {"team": "blue"}
    assert not user.HasField("deleted_at")


def test_an_email_alone_is_enough(users):
    assert users.CreateUser(new(email="a@localhost")).name == ""


def test_a_user_may_begin_inactive(users, emails):
    request = new(email=next(emails), status=pb.USER_STATUS_INACTIVE)
    assert users.CreateUser(request).status == pb.USER_STATUS_INACTIVE


def test_a_password_is_accepted_and_never_returned(users, emails):
    user = users.CreateUser(new(email=next(emails), password="correct horse battery"))
    assert b"correct horse" not in user.SerializeToString()


@pytest.mark.parametrize("typed, kept", [
    ("  Grace.Hopper@Navy.EXAMPLE  ", "Grace.Hopper@Navy.EXAMPLE"),
    (unicodedata.normalize("NFD", "Zoë@exämple.org"), "Zoë@exämple.org"),
    ("用户@例え.テスト", "用户@例え.テスト"),
])
def test_an_email_is_kept_as_typed_trimmed_and_composed(users, typed, kept):
    assert users.CreateUser(new(email=typed)).email == kept


def test_a_name_is_kept_composed(users, emails):
    name = unicodedata.normalize("NFD", "Nguyễn Thị Minh Khai")
    user = users.CreateUser(new(email=next(emails), name=name))
    assert user.name == "Nguyễn Thị Minh Khai"


@pytest.mark.parametrize("email", [
    "", "   ", "nobody", "@example.org", "nobody@", "a@b@example.org", "a b@example.org",
    "a@exa mple.org", "a@example..org", "a@.example.org", "x" * 65 + "@example.org",
    "ü" * 33 + "@example.org", "x@" + "a" * 64 + ".org",
    "x@" + ".".join(["a" * 60] * 4) + ".example.org",
    "a\n@example.org", "a\x00b@example.org", "a\x7f@example.org", "a\u202eb@example.org",
    "a\u200fb@example.org", "a\u2066b@example.org",
])
def test_an_invalid_email_is_refused(users, email):
    invalid(lambda: users.CreateUser(new(email=email)), "email")


@pytest.mark.parametrize("field, value", [
    ("name", "x" * 257), ("name", "a\nb"), ("name", "a\x00b"),
    ("password", "1234567"), ("password", "x" * 1025),
    ("request_id", "not a uuid"),
    ("status", 7),
    ("attributes", {f"key{number}": "" for number in range(33)}),
    ("attributes", {"k" * 65: "value"}),
    ("attributes", {"key": "v" * 1025}),
    ("attributes", {f"key{number}": "v" * 1000 for number in range(8)}),
])
def test_a_field_beyond_its_limits_is_refused(users, emails, field, value):
    invalid(lambda: users.CreateUser(new(**{"email": next(emails), field: value})), field)


@pytest.mark.parametrize("field, value", [
    ("name", "漢" * 256), ("password", "12345678" * 128), ("password", "pw8bytes"),
    ("attributes", {f"key{number}": "v" for number in range(32)}),
    ("attributes", {"k" * 64: "v" * 1024}),
])
def test_a_field_at_its_limit_is_accepted(users, emails, field, value):
    assert users.CreateUser(new(**{"email": next(emails), field: value})).id


def test_every_bad_field_is_named_at_once(users):
    invalid(lambda: users.CreateUser(new(email="nobody", name="x" * 257)), "email", "name")


@pytest.mark.parametrize("first, second", [
    ("case@example.org", "Case@example.org"),
    ("domain@example.org", "domain@EXAMPLE.ORG"),
    ("spaces@example.org", "  spaces@example.org\t"),
    ("info@bücher.example", "info@xn--bcher-kva.example"),
    ("post@xn--mnchen-3ya.example", "post@MÜNCHEN.example"),
    ("josé@example.org", unicodedata.normalize("NFD", "JOSÉ@example.org")),
    ("straße@example.org", "STRASSE@example.org"),
    ("ΣΊΣΥΦΟΣ@example.org", "σίσυφος@example.org"),
])
def test_a_taken_email_is_refused_in_any_spelling(users, first, second):
    users.CreateUser(new(email=first))
    refused(lambda: users.CreateUser(new(email=second)), "ALREADY_EXISTS", "EMAIL_TAKEN")


@pytest.mark.parametrize("first, second", [
    ("a.b@example.org", "ab@example.org"),
    ("plus@example.org", "plus+tag@example.org"),
    ("same@one.example", "same@two.example"),
])
def test_dots_tags_and_domains_tell_users_apart(users, first, second):
    assert users.CreateUser(new(email=first)).id != users.CreateUser(new(email=second)).id


def test_a_repeated_request_is_given_the_first_answer(users, emails):
    request = new(email=next(emails), password="a fine password", request_id=str(uuid.uuid4()))
    assert users.CreateUser(request) == users.CreateUser(request)


@pytest.mark.parametrize("other", [
    {"name": "Other"}, {"password": "another password"}, {"email": "other@example.org"},
])
def test_a_request_id_is_not_used_for_other_content(users, emails, other):
    request = new(email=next(emails), password="a fine password", request_id=str(uuid.uuid4()))
    users.CreateUser(request)
    request.MergeFrom(new(**other))
    refused(lambda: users.CreateUser(request), "ALREADY_EXISTS", "REQUEST_ID_REUSED")


def test_a_refused_request_may_be_corrected_under_the_same_id(users, emails):
    request = new(email="nobody", request_id=str(uuid.uuid4()))
    invalid(lambda: users.CreateUser(request), "email")
    request.email = next(emails)
    assert users.CreateUser(request).email == request.email
