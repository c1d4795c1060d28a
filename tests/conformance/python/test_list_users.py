"""ListUsers: the whole directory in order, whatever the page size, and resumed anywhere."""

import pytest
import user_service_pb2 as pb

from refusals import invalid

COUNT = 1000


@pytest.fixture(scope="module")
def everyone(users):
    """A thousand users, every tenth of them inactive, in the order of their ids."""
    requests = (
        pb.CreateUserRequest(
            email=f"User.{number:04}@example.org",
            status=pb.USER_STATUS_INACTIVE if number % 10 == 0 else pb.USER_STATUS_ACTIVE,
        )
        for number in range(COUNT)
    )
    assert users.BulkCreateUsers(requests).created_count == COUNT
    listed = list(users.ListUsers(pb.ListUsersRequest()))
    assert len(listed) == COUNT
    return listed


@pytest.fixture
def listed(users, everyone):
    """Lists users by the fields of a request."""
    return lambda **fields: list(users.ListUsers(pb.ListUsersRequest(**fields)))


@pytest.mark.parametrize("page_size", [100, 0, 1, 7, 999, 1000, 1001, 2**31 - 1])
def test_a_list_yields_everyone_whatever_the_page_size(listed, everyone, page_size):
    assert listed(page_size=page_size) == everyone


def test_a_list_is_in_the_order_of_ids(everyone):
    ids = [user.id for user in everyone]
    assert ids == sorted(ids) and len(set(ids)) == COUNT


@pytest.mark.parametrize("field", ["page_size", "limit"])
def test_a_negative_number_is_refused(users, field):
    invalid(lambda: users.ListUsers(pb.ListUsersRequest(**{field: -1})), field)


@pytest.mark.parametrize("limit", [1, 99, 100, 101, COUNT, COUNT + 1])
def test_a_limit_bounds_the_answer(listed, everyone, limit):
    assert listed(limit=limit) == everyone[:limit]


@pytest.mark.parametrize("place", [0, 99, 100, 998, 999])
def test_a_list_goes_on_after_any_user(listed, everyone, place):
    assert listed(page_token=everyone[place].id) == everyone[place + 1:]


def test_limits_and_tokens_walk_the_whole_directory(listed, everyone):
    walked, token = [], ""
    while page := listed(limit=300, page_token=token):
        walked += page
        token = page[-1].id
    assert walked == everyone


def test_a_list_goes_on_after_a_user_who_was_deleted(users, listed, everyone):
    extra = users.CreateUser(pb.CreateUserRequest(email="deleted@example.org"))
    last = users.CreateUser(pb.CreateUserRequest(email="last@example.org"))
    users.DeleteUser(pb.DeleteUserRequest(user_id=extra.id))
    assert listed(page_token=extra.id) == [last]
    users.DeleteUser(pb.DeleteUserRequest(user_id=last.id))
    assert listed(page_token=everyone[-1].id) == []


@pytest.mark.parametrize("token", ["42", "not a uuid", "user.0001@example.org"])
def test_a_malformed_token_is_refused(users, token):
    invalid(lambda: users.ListUsers(pb.ListUsersRequest(page_token=token)), "page_token")


@pytest.mark.parametrize("status", [pb.USER_STATUS_ACTIVE, pb.USER_STATUS_INACTIVE])
def test_a_filter_lets_only_its_status_through(listed, everyone, status):
    wanted = [user for user in everyone if user.status == status]
    assert listed(status_filter=status) == wanted
    assert listed(status_filter=status, limit=50, page_token=wanted[10].id) == wanted[11:61]


@pytest.mark.parametrize("prefix", ["user.01", "USER.01", "User.0123@EXAMPLE", "u", "nobody"])
def test_a_prefix_lists_by_email_in_any_case(listed, everyone, prefix):
    wanted = [user for user in everyone if user.email.lower().startswith(prefix.lower())]
    assert listed(email_prefix=prefix) == sorted(wanted, key=lambda user: user.email.lower())


def test_a_prefix_list_goes_on_after_the_last_email(listed):
    wanted = listed(email_prefix="user.0")
    assert len(wanted) == COUNT
    for token in [wanted[499].email, wanted[499].email.upper()]:
        assert listed(email_prefix="user.0", page_token=token, limit=200) == wanted[500:700]


def test_a_prefix_list_refuses_a_token_that_is_no_email(users, everyone):
    request = pb.ListUsersRequest(email_prefix="user", page_token=everyone[0].id)
    invalid(lambda: users.ListUsers(request), "page_token")


def test_a_prefix_and_a_filter_work_together(listed):
    found = listed(email_prefix="user.00", status_filter=pb.USER_STATUS_INACTIVE)
    assert [user.email[5:9] for user in found] == [f"{number:04}" for number in range(0, 100, 10)]


def test_a_list_is_given_up_after_ten_users(users, listed, everyone):
    stream = users.ListUsers(pb.ListUsersRequest(page_size=10))
    first = [next(stream) for _ in range(10)]
    assert stream.cancel()
    assert first == everyone[:10] == listed(limit=10)
