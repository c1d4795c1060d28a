"""The real daemon under test: it has a data directory of its own and is stopped by SIGTERM.

As a command, `daemon.py COMMAND...` runs COMMAND beside a fresh daemon, whose address is in
ROSTERD_ADDRESS, and fails if either of them does.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paths import DAEMON

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30

# The settings of whoever runs the suite must not reach the daemon.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("ROSTERD_")}


def command(data_dir, *arguments):
    """The daemon's command line on a data directory."""
    return [DAEMON, "--data-dir", data_dir, *arguments]


class Daemon:
    """One daemon process after another on one data directory."""

    def __init__(self, data_dir, listen=("127.0.0.1:0",), flags=()):
        self.data_dir = Path(data_dir)
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.listen = listen
        self.flags = flags
        self.process = None
        self.addresses = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, failure, *_):
        if self.process and failure:
            self.kill()
        elif self.process:
            self.stop()

    @property
    def address(self):
        return self.addresses[0]

    def start(self):
        """Starts the daemon and returns when it is SERVING."""
        flags = [argument for address in self.listen for argument in ("--listen", address)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command(self.data_dir, *flags, *self.flags),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=ENVIRONMENT, cwd=self.data_dir.parent,
            )
        self._await("name its addresses", self._has_addresses)
        self._await("be SERVING", self._is_serving)

    def stop(self):
        """Stops the daemon by SIGTERM, which it must obey in time and with success."""
        self.terminate()
        self.await_end()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def await_end(self):
        process, self.process = self.process, None
        try:
            code = process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert code == 0, f"the daemon ended with {code}:\n{self._last_words()}"

    def kill(self):
        """Ends the daemon as a crash would (kill -9)."""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def channel(self):
        return grpc.insecure_channel(self.address)

    def _has_addresses(self):
        lock = self.data_dir / "LOCK"
        if not lock.exists():
            return False
        lines = [line.split(" ", 1) for line in lock.read_text().splitlines()]
        if ["pid", str(self.process.pid)] not in lines:
            return False
        self.addresses = [rest for word, rest in lines if word == "listen"]
        return len(self.addresses) == len(self.listen)

    def _is_serving(self):
        with self.channel() as channel:
            health = health_pb2_grpc.HealthStub(channel)
            try:
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.RpcError:
                return False
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    def _await(self, what, is_so):
        end = time.monotonic() + START_SECONDS_MAX
        while not is_so():
            code = self.process.poll()
            assert code is None, f"the daemon ended with {code}:\n{self._last_words()}"
            assert time.monotonic() < end, f"the daemon did not {what}:\n{self._last_words()}"
            time.sleep(0.02)

    def _last_words(self):
        return self.log.read_text(errors="replace")[-4000:]


def main():
    with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder) / "data") as daemon:
        beside = {**os.environ, "ROSTERD_ADDRESS": daemon.address}
        code = subprocess.run(sys.argv[1:], env=beside).returncode
    sys.exit(code)


if __name__ == "__main__":
    main()
