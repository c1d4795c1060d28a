"""A directory of 100,000 realistic users: loaded in bulk, then read, changed and crashed.

The tests are the chapters of one story about one directory, in this order. What the directory must
hold is known from the data set alone.
"""

import hashlib
import time
from random import Random

import grpc
import pytest
import user_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from user_service_pb2_grpc import UserServiceStub

from generate import CREATED, INVALID, TAKEN
from refusals import invalid, refused
from spellings import canonical, other_spelling

# The data set is the same on every machine; a new digest belongs with new pins or new rules.
DIGEST = "065ca702ab2aa5e28fff5ad67e8c082ce8b7ca24e7c91a9170a320e8fab88cfd"
STREAM_MAX = 100_000
LISTED_MAX = 100
BATCH_MAX = 500
CODES = {TAKEN: 6, INVALID: 3}


def content(user):
    return user.email, user.name, user.status, dict(user.attributes)


def listed(users, **fields):
    return list(users.ListUsers(pb.ListUsersRequest(page_size=1000, **fields)))


def sample(lines, count):
    return Random(count).sample(lines, count)


@pytest.fixture(scope="module")
def directory():
    """What the directory must hold: users by id."""
    return {}


def test_the_data_set_is_reproducible(data_set):
    assert hashlib.sha256(data_set.read_bytes()).hexdigest() == DIGEST


def test_streams_of_new_users_create_the_good_and_refuse_the_bad(users, lines):
    for begin in range(0, len(lines), STREAM_MAX):
        stream = lines[begin:begin + STREAM_MAX]
        good = [line for line in stream if line.expect == CREATED]
        bad = [(index, line) for index, line in enumerate(stream) if line.expect != CREATED]
        answer = users.BulkCreateUsers(line.request for line in stream)
        assert (answer.created_count, answer.failed_count) == (len(good), len(bad))
        assert [(failure.index, failure.code, failure.reason) for failure in answer.failures] == [
            (index, CODES[line.expect], line.expect) for index, line in bad[:LISTED_MAX]
        ]
        for line, user_id in zip(good, answer.user_ids, strict=True):
            line.user_id = user_id


def test_a_list_yields_exactly_the_created_users(users, created, directory):
    directory.update((user.id, user) for user in listed(users))
    assert list(directory) == sorted(directory)
    expected = {line.user_id: line.content() for line in created}
    assert {user_id: content(user) for user_id, user in directory.items()} == expected


def test_a_list_in_parts_yields_the_same(users, directory):
    walked, token = [], ""
    while part := listed(users, limit=30_000, page_token=token):
        walked += part
        token = part[-1].id
    assert walked == list(directory.values())


def test_a_list_that_is_cancelled_stops_reading_within_a_page(daemon, directory):
    def pages_read():
        """How many, once half a second passes without another."""
        before, deadline = None, time.monotonic() + 20
        while time.monotonic() < deadline:
            now = daemon.log.read_text().count("a page was read")
            if now == before:
                return now
            before = now
            time.sleep(0.5)
        raise AssertionError("pages are read without end")

    assert len(directory) == 100_000
    before = pages_read()
    # Without the probe the client takes no more than the usual 64 KiB ahead of its reader.
    with grpc.insecure_channel(daemon.address, [("grpc.http2.bdp_probe", 0)]) as channel:
        stream = UserServiceStub(channel).ListUsers(pb.ListUsersRequest(page_size=100))
        for _ in range(10):
            next(stream)
        # What fits between the two is read ahead; then the daemon waits for the client.
        waiting = pages_read()
        stream.cancel()
        assert waiting - before < 100, "of the thousand pages that there are"
        assert pages_read() - waiting <= 1


def test_a_status_filter_and_an_email_prefix_find_all_of_theirs(users, created, directory):
    inactive = [user for user in directory.values() if user.status == pb.USER_STATUS_INACTIVE]
    assert listed(users, status_filter=pb.USER_STATUS_INACTIVE) == inactive
    for prefix in ["an", "MARIA", "ö", "ива", "李"]:
        wanted = {
            line.user_id for line in created
            if canonical(line.request.email)[0].startswith(prefix.casefold())
        }
        found = listed(users, email_prefix=prefix)
        assert {user.id for user in found} == wanted and len(found) == len(wanted) > 0, prefix


def test_users_are_found_by_id(users, directory):
    for user_id in sample(list(directory), 2_000):
        assert users.GetUser(pb.GetUserRequest(user_id=user_id)) == directory[user_id]
    ids = sample(list(directory), 20 * BATCH_MAX)
    for begin in range(0, len(ids), BATCH_MAX):
        batch = ids[begin:begin + BATCH_MAX]
        answer = users.BatchGetUsers(pb.BatchGetUsersRequest(user_ids=batch))
        assert list(answer.users) == [directory[user_id] for user_id in batch]


def test_users_are_found_by_email_as_typed_and_in_other_spellings(users, lines, created, directory):
    wanted = [(line.request.email, line.user_id) for line in sample(created, 2_000)]
    taken = [line for line in lines if line.expect == TAKEN]
    wanted += [(line.request.email, lines[line.origin].user_id) for line in sample(taken, 4_000)]
    for email, user_id in wanted:
        found = users.GetUserByEmail(pb.GetUserByEmailRequest(email=email))
        assert found == directory[user_id], email


def test_each_kind_of_mistake_is_refused_by_itself_too(users, lines):
    for line in sample([line for line in lines if line.expect == INVALID], 500):
        invalid(lambda: users.CreateUser(line.request), line.field)
    for line in sample([line for line in lines if line.expect == TAKEN], 500):
        refused(lambda: users.CreateUser(line.request), "ALREADY_EXISTS", TAKEN)


def test_users_are_updated(users, created, directory):
    for number, line in enumerate(sample(created, 1_000)):
        before = directory[line.user_id]
        request = pb.UpdateUserRequest(
            user_id=before.id, name=f"{before.name[:200]} {number}",
            email=f"moved.{number}@updates.example", attributes={"moved": str(number)},
            update_mask=FieldMask(paths=["name", "email", "attributes.moved"]),
            expected_revision=before.revision,
        )
        after = users.UpdateUser(request)
        attributes = {**before.attributes, "moved": str(number)}
        assert content(after) == (request.email, request.name, before.status, attributes)
        assert after.revision > before.revision
        directory[after.id] = after


def test_the_old_email_of_an_updated_user_is_free(users, created, directory):
    for line in sample(created, 1_000)[:200]:
        lookup = pb.GetUserByEmailRequest(email=line.request.email)
        refused(lambda: users.GetUserByEmail(lookup), "NOT_FOUND", "USER_NOT_FOUND")
        user = users.CreateUser(pb.CreateUserRequest(email=line.request.email))
        directory[user.id] = user


def test_users_are_deleted_and_their_emails_are_free(users, directory):
    random = Random(1)
    for user in sample(list(directory.values()), 1_000):
        users.DeleteUser(pb.DeleteUserRequest(user_id=user.id, expected_revision=user.revision))
        del directory[user.id]
        for lookup in [
            lambda: users.GetUser(pb.GetUserRequest(user_id=user.id)),
            lambda: users.GetUserByEmail(pb.GetUserByEmailRequest(email=user.email)),
        ]:
            refused(lookup, "NOT_FOUND", "USER_NOT_FOUND")
        if random.random() < 0.2:
            email = other_spelling(user.email, random)
            again = users.CreateUser(pb.CreateUserRequest(email=email))
            directory[again.id] = again


def test_the_directory_holds_what_it_must_before_and_after_a_crash_and_a_stop(daemon, directory):
    def check():
        with daemon.channel() as channel:
            assert listed(UserServiceStub(channel)) == list(directory.values())

    check()
    daemon.kill()
    daemon.start()
    check()
    daemon.stop()
    daemon.start()
    check()
