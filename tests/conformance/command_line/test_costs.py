"""What the daemon takes of a machine: memory, and syncs for a durable write."""

import re
import signal
import subprocess
import time

import pytest

import paths
import stubs
from daemon import Daemon

stubs.generate(paths.CONTRACT, "ours")

import user_service_pb2 as pb  # noqa: E402
from user_service_pb2_grpc import UserServiceStub  # noqa: E402

RESIDENT_MIB_MAX = 40


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024


def test_ten_thousand_users_take_little_memory(data_dir):
    with Daemon(data_dir) as daemon, daemon.channel() as channel:
        users = UserServiceStub(channel)
        items = (
            pb.CreateUserRequest(email=f"user{n}@example.org", name=f"User Number {n}")
            for n in range(10_000)
        )
        assert users.BulkCreateUsers(items).created_count == 10_000
        assert sum(1 for _ in users.ListUsers(pb.ListUsersRequest())) == 10_000
        assert resident_mib(daemon.process.pid) <= RESIDENT_MIB_MAX


@pytest.fixture
def journal_syncs(tmp_path):
    """Counts the syncs of journal segments by a process while something is done."""

    def count(pid, action):
        trace = tmp_path / "trace"
        command = ["strace", "-f", "-y", "-e", "trace=fdatasync,fsync", "-o", trace, "-p", str(pid)]
        strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert "attached" in strace.stderr.readline()
        time.sleep(0.2)  # There are more threads to attach to than the line says.
        action()
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=10)
        return len(re.findall(r"journal/\d+\.log>", trace.read_text()))

    return count


def test_a_lone_creator_waits_for_exactly_one_sync_a_user(data_dir, journal_syncs):
    with Daemon(data_dir) as daemon, daemon.channel() as channel:
        users = UserServiceStub(channel)
        users.CreateUser(pb.CreateUserRequest(email="first@example.org"))

        def create():
            for n in range(100):
                users.CreateUser(pb.CreateUserRequest(email=f"user{n}@example.org"))

        assert journal_syncs(daemon.process.pid, create) == 100
