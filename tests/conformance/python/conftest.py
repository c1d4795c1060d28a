"""The Python client made from our contract."""

import itertools

import pytest

import paths
import stubs

stubs.generate(paths.CONTRACT, "ours")

from user_service_pb2_grpc import UserServiceStub  # noqa: E402


@pytest.fixture(scope="module")
def channel(daemon):
    with daemon.channel() as channel:
        yield channel


@pytest.fixture(scope="module")
def users(channel):
    """The user service of the daemon that this file's tests share."""
    return UserServiceStub(channel)


@pytest.fixture(scope="session")
def emails():
    """Emails that nobody has yet: `next(emails)`."""
    return (f"user.{number}@example.org" for number in itertools.count(1))


@pytest.fixture
def user(users, emails):
    """A user who was just created."""
    from user_service_pb2 import CreateUserRequest

    return users.CreateUser(CreateUserRequest(email=next(emails), name="Ada Lovelace"))
