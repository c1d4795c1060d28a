"""The customer's client, which knows five RPCs and nothing else, works unchanged."""

import grpc
import pytest
import user_service_pb2
import user_service_pb2_grpc


@pytest.fixture(scope="module")
def stub(daemon):
    with daemon.channel() as channel:
        yield user_service_pb2_grpc.UserServiceStub(channel)


def create(stub, email, name="", password=""):
    return stub.CreateUser(
        user_service_pb2.CreateUserRequest(email=email, name=name, password=password)
    )


def code_of(call):
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return refused.value.code()


def test_a_created_user_is_read_back(stub):
    created = create(stub, "ada@example.org", "Ada Lovelace", "s3cret-Enough")
    assert (created.email, created.name) == ("ada@example.org", "Ada Lovelace")
    assert created.status == user_service_pb2.USER_STATUS_ACTIVE
    assert created.created_at == created.updated_at
    assert stub.GetUser(user_service_pb2.GetUserRequest(user_id=created.id)) == created


@pytest.mark.parametrize("user_id", ["00000000-0000-0000-0000-000000000000", "nonexistent"])
def test_an_unknown_user_is_not_found(stub, user_id):
    request = user_service_pb2.GetUserRequest(user_id=user_id)
    assert code_of(lambda: stub.GetUser(request)) is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("email", ["", "no-at-sign"])
def test_an_invalid_email_is_refused(stub, email):
    assert code_of(lambda: create(stub, email)) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_taken_email_already_exists(stub):
    create(stub, "taken@example.org")
    assert code_of(lambda: create(stub, "Taken@Example.org")) is grpc.StatusCode.ALREADY_EXISTS


def test_a_bulk_with_bad_items_reports_the_good_ones(stub):
    emails = ["b1@bulk.example", "bad", "b2@bulk.example", "b1@bulk.example", "b3@bulk.example"]
    answer = stub.BulkCreateUsers(
        user_service_pb2.CreateUserRequest(email=email, name="Bulk") for email in emails
    )
    assert answer.created_count == len(answer.user_ids) == 3
    found = [
        stub.GetUser(user_service_pb2.GetUserRequest(user_id=user_id)).email
        for user_id in answer.user_ids
    ]
    assert found == ["b1@bulk.example", "b2@bulk.example", "b3@bulk.example"]


def test_a_page_size_of_100_yields_all_of_1000_users(stub):
    before = {user.id for user in stub.ListUsers(user_service_pb2.ListUsersRequest())}
    answer = stub.BulkCreateUsers(
        user_service_pb2.CreateUserRequest(email=f"{number}@list.example") for number in range(1000)
    )
    assert answer.created_count == 1000
    request = user_service_pb2.ListUsersRequest(page_size=100)
    listed = [user.id for user in stub.ListUsers(request)]
    assert len(listed) == len(before) + 1000
    assert set(listed) == before | set(answer.user_ids)


def test_a_list_may_be_cancelled_after_ten_users(stub):
    stream = stub.ListUsers(user_service_pb2.ListUsersRequest(page_size=100))
    assert len([next(stream) for _ in range(10)]) == 10
    stream.cancel()
    assert code_of(lambda: list(stream)) is grpc.StatusCode.CANCELLED


def test_a_list_is_filtered_by_status(stub):
    request = user_service_pb2.ListUsersRequest(status_filter=user_service_pb2.USER_STATUS_INACTIVE)
    assert list(stub.ListUsers(request)) == []


def test_a_session_without_requests_ends_well(stub):
    assert list(stub.UserUpdates(iter([]))) == []


def test_an_empty_update_is_refused(stub):
    request = user_service_pb2.UserUpdateRequest()
    refused = code_of(lambda: list(stub.UserUpdates(iter([request]))))
    assert refused is grpc.StatusCode.INVALID_ARGUMENT
