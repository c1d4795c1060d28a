"""grpcurl by reflection: each RPC is called, and refusals show their details."""

import pytest


@pytest.fixture(scope="module")
def service(call):
    """Calls a method of the user service."""
    return lambda method, *requests: call(f"user.v1.UserService/{method}", *requests)


@pytest.fixture
def user(service, request):
    """A user who was just created, named after the test."""
    [user] = service("CreateUser", {"email": f"{request.node.name}@example.org"}).answers()
    return user


def test_a_user_is_created(service):
    [user] = service("CreateUser", {"email": "ada@example.org", "name": "Ada"}).answers()
    assert user.pop("id") and int(user.pop("revision")) > 0
    assert user.pop("createdAt") == user.pop("updatedAt")
    assert user == {"email": "ada@example.org", "name": "Ada", "status": "USER_STATUS_ACTIVE"}


def test_a_user_is_found_by_id_and_email(service, user):
    assert service("GetUser", {"userId": user["id"]}).answers() == [user]
    assert service("GetUser", {"user_id": user["id"]}).answers() == [user]
    assert service("GetUserByEmail", {"email": user["email"].upper()}).answers() == [user]


def test_users_are_listed(service, user):
    listed = service("ListUsers", {"page_size": 2}).answers()
    assert user in listed
    assert service("ListUsers", {"limit": 1}).answers() == listed[:1]
    assert service("ListUsers", {"page_token": listed[0]["id"]}).answers() == listed[1:]


def test_a_batch_is_read(service, user):
    [answer] = service("BatchGetUsers", {"user_ids": [user["id"], "nobody"]}).answers()
    assert answer == {"users": [user], "missingIds": ["nobody"]}


def test_many_users_are_created_by_one_stream(service):
    items = [{"email": f"bulk.{number}@example.org"} for number in range(3)]
    [answer] = service("BulkCreateUsers", *items, {"email": "nobody"}).answers()
    assert (answer["createdCount"], answer["failedCount"]) == (3, 1)
    assert len(answer["userIds"]) == 3
    assert answer["failures"][0]["reason"] == "FIELD_INVALID"


def test_a_user_is_changed_and_deleted(service, user):
    mask = {"paths": ["attributes"]}
    change = {"user_id": user["id"], "attributes": {"team": "blue"}, "update_mask": mask}
    [changed] = service("UpdateUser", change).answers()
    assert changed["attributes"] == {"team": "blue"}
    assert service("DeleteUser", {"user_id": user["id"]}).answers() == [{}]
    assert "NotFound" in service("GetUser", {"user_id": user["id"]}).err


def test_a_session_answers_each_update_and_ends_with_its_input(service, user):
    names = ["First", "Second"]
    steps = [{"update": {"user_id": user["id"], "name": name}} for name in names]
    assert [answer["name"] for answer in service("UserUpdates", *steps).answers()] == names


def test_a_watch_is_not_there_yet(service):
    assert "Unimplemented" in service("WatchUsers", {}).err


def test_the_health_is_asked(call):
    for request in [{}, {"service": "user.v1.UserService"}]:
        assert call("grpc.health.v1.Health/Check", request).answers() == [{"status": "SERVING"}]


@pytest.mark.parametrize("method, request_, shown", [
    ("CreateUser", {"email": "nobody"}, [
        "Code: InvalidArgument", "google.rpc.ErrorInfo", '"reason": "FIELD_INVALID"',
        '"domain": "rosterd"', "google.rpc.BadRequest", '"field": "email"',
    ]),
    ("GetUser", {"user_id": "nobody"}, [
        "Code: NotFound", "google.rpc.ErrorInfo", '"reason": "USER_NOT_FOUND"',
    ]),
    ("UserUpdates", {}, ["Code: InvalidArgument", '"ordinal": "0"']),
])
def test_a_refusal_is_shown_with_its_details(service, method, request_, shown):
    said = service(method, request_)
    assert said.code != 0
    plain = said.err.replace('":"', '": "')
    assert [text for text in shown if text not in plain] == [], said.err


def test_a_taken_email_is_refused_with_its_reason(service, user):
    said = service("CreateUser", {"email": user["email"].upper()})
    assert "Code: AlreadyExists" in said.err and "EMAIL_TAKEN" in said.err
