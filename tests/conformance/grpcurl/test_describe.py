"""grpcurl by reflection: the services are listed, and describe is the manual, comments included."""

import subprocess
import sys

import pytest
from google.protobuf import descriptor_pb2

from paths import CONTRACT, REPOSITORY

METHODS = [
    "BatchGetUsers", "BulkCreateUsers", "CreateUser", "DeleteUser", "GetUser", "GetUserByEmail",
    "ListUsers", "UpdateUser", "UserUpdates", "WatchUsers",
]
# Where a file descriptor keeps what can be described by name.
KINDS = {4: "message_type", 5: "enum_type", 6: "service"}


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    """The contract's file descriptor, with its comments."""
    out = tmp_path_factory.mktemp("contract") / "set.bin"
    proto = REPOSITORY / "proto"
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc", "-I", proto, "--include_source_info",
            f"--descriptor_set_out={out}", CONTRACT.relative_to(proto),
        ],
        check=True,
    )
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]


def comments(file):
    """Each symbol that can be described, with the lines of the comments on it and in it."""
    found = {}
    for place in file.source_code_info.location:
        if len(place.path) >= 2 and place.path[0] in KINDS and place.leading_comments:
            symbol = getattr(file, KINDS[place.path[0]])[place.path[1]].name
            lines = [line.strip() for line in place.leading_comments.splitlines() if line.strip()]
            found.setdefault(f"{file.package}.{symbol}", []).extend(lines)
    return found


def test_the_services_are_listed(grpcurl):
    services = grpcurl("list").out.split()
    assert {"user.v1.UserService", "grpc.health.v1.Health"} <= set(services)
    assert any(service.endswith(".ServerReflection") for service in services)


def test_the_methods_are_listed(grpcurl):
    listed = grpcurl("list", "user.v1.UserService").out.split()
    assert listed == [f"user.v1.UserService.{method}" for method in METHODS]


def test_everything_is_described_with_its_comments(grpcurl, contract):
    written = comments(contract)
    assert len(written) == sum(len(getattr(contract, kind)) for kind in KINDS.values())
    for symbol, lines in written.items():
        described = grpcurl("describe", symbol)
        assert described.code == 0, described.err
        for line in lines:
            assert line in described.out, f"{symbol} is described without {line!r}"


def test_a_method_is_described_with_its_comment(grpcurl):
    described = grpcurl("describe", "user.v1.UserService.GetUser").out
    assert "// Returns one user by id." in described
    assert "rpc GetUser ( .user.v1.GetUserRequest ) returns ( .user.v1.User );" in described


def test_a_message_is_described_with_a_template(grpcurl):
    described = grpcurl("describe", "user.v1.CreateUserRequest", flags=("-msg-template",)).out
    assert '"email": ""' in described and '"requestId": ""' in described
