"""buf curl: calls by reflection in both its versions, and by the contract's own files."""

import json
import subprocess

import pytest

from paths import BUF, REPOSITORY

SOURCES = [
    ["--reflect-protocol", "grpc-v1"],
    ["--reflect-protocol", "grpc-v1alpha"],
    ["--schema", REPOSITORY / "proto"],
]
by_every_source = pytest.mark.parametrize("source", SOURCES, ids=["v1", "v1alpha", "schema"])


@pytest.fixture
def curl(daemon, source):
    """Calls a method of the user service with requests; returns buf's exit and what it said."""

    def curl(method, *requests):
        return subprocess.run(
            [
                BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *source,
                "--data", "@-", f"http://{daemon.address}/user.v1.UserService/{method}",
            ],
            input="\n".join(map(json.dumps, requests)), capture_output=True, text=True,
        )

    return curl


def answers(run):
    assert run.returncode == 0, run.stderr
    decoder, text, found = json.JSONDecoder(), run.stdout.strip(), []
    while text:
        answer, end = decoder.raw_decode(text)
        found.append(answer)
        text = text[end:].lstrip()
    return found


@by_every_source
def test_users_are_created_found_changed_listed_and_deleted(curl, source):
    email = f"source.{SOURCES.index(source)}@example.org"
    [user] = answers(curl("CreateUser", {"email": email, "attributes": {"team": "blue"}}))
    assert answers(curl("GetUser", {"userId": user["id"]})) == [user]
    assert answers(curl("GetUserByEmail", {"email": email.upper()})) == [user]
    [changed] = answers(curl("UpdateUser", {"userId": user["id"], "name": "Ada"}))
    assert changed["name"] == "Ada"
    assert answers(curl("ListUsers", {"emailPrefix": email})) == [changed]
    [session] = answers(curl("UserUpdates", {"update": {"userId": user["id"], "name": "Eve"}}))
    assert session["name"] == "Eve"
    assert answers(curl("BatchGetUsers", {"userIds": [user["id"]]})) == [{"users": [session]}]
    assert answers(curl("DeleteUser", {"userId": user["id"]})) == [{}]


@by_every_source
def test_a_stream_of_new_users_is_answered_once(curl, source):
    name = SOURCES.index(source)
    items = [{"email": f"bulk.{name}.{number}@example.org"} for number in range(3)]
    [answer] = answers(curl("BulkCreateUsers", *items, {"email": "nobody"}))
    assert (answer["createdCount"], answer["failedCount"]) == (3, 1)
    assert answer["failures"][0]["reason"] == "FIELD_INVALID"


@by_every_source
def test_a_refusal_is_shown_with_its_details(curl, source):
    run = curl("CreateUser", {"email": "nobody"})
    error = json.loads(run.stderr)
    assert run.returncode != 0 and error["code"] == "invalid_argument"
    kinds = {detail["type"] for detail in error["details"]}
    assert kinds == {"google.rpc.ErrorInfo", "google.rpc.BadRequest"}
