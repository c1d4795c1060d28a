"""The data set, the Python client, and a directory that holds what the data set says."""

import json
from dataclasses import dataclass
from unicodedata import normalize

import pytest

import paths
import stubs
from daemon import Daemon
from generate import CREATED, write

stubs.generate(paths.CONTRACT, "ours")

import user_service_pb2 as pb  # noqa: E402
from user_service_pb2_grpc import UserServiceStub  # noqa: E402


@pytest.fixture(scope="session")
def data_set():
    """The file of the data set, made anew."""
    file = paths.INSTALLED / "users.jsonl"
    write(file)
    return file


@dataclass
class Line:
    """One line of the data set, and once it is created, the id of its user."""

    request: pb.CreateUserRequest
    expect: str
    origin: int = None
    field: str = None
    user_id: str = None

    def content(self):
        """What the user must hold: the request's fields as the contract says they are kept."""
        return (
            normalize("NFC", self.request.email.strip()), normalize("NFC", self.request.name),
            self.request.status or pb.USER_STATUS_ACTIVE, dict(self.request.attributes),
        )


@pytest.fixture(scope="session")
def lines(data_set):
    with data_set.open(encoding="utf-8") as file:
        read = (json.loads(text) for text in file)
        return [
            Line(**{**fields, "request": pb.CreateUserRequest(**fields["request"])})
            for fields in read
        ]


@pytest.fixture(scope="session")
def created(lines):
    """The lines that must become users."""
    return [line for line in lines if line.expect == CREATED]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon that logs each page it reads."""
    flags = ("--log-level", "info,rosterd::service::list=trace")
    with Daemon(tmp_path_factory.mktemp("daemon") / "data", flags=flags) as running:
        yield running


@pytest.fixture(scope="module")
def users(daemon):
    """The user service of the one daemon of this suite."""
    with daemon.channel() as channel:
        yield UserServiceStub(channel)
