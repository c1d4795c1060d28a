"""Where the daemon listens: several addresses at once, IPv6 and a unix socket among them."""

import subprocess

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from daemon import Daemon


def test_every_address_is_named_and_serves(tmp_path):
    socket = f"unix:{tmp_path}/socket"
    with Daemon(tmp_path / "data", listen=("127.0.0.1:0", "[::1]:0", socket)) as daemon:
        v4, v6, unix = daemon.addresses
        assert v4.startswith("127.0.0.1:") and v6.startswith("[::1]:") and unix == socket
        # For a socket, grpcio makes an authority of the path, which the HTTP library of the daemon
        # refuses as malformed; the documentation tells clients to set one.
        options = [("grpc.default_authority", "localhost")]
        for address in daemon.addresses:
            with grpc.insecure_channel(address, options) as channel:
                answer = HealthStub(channel).Check(HealthCheckRequest(), timeout=5)
                assert answer.status == HealthCheckResponse.SERVING


def test_the_log_names_the_address_when_it_is_ready(data_dir):
    with Daemon(data_dir) as daemon:
        port = daemon.address.rsplit(":", 1)[1]
        assert port in daemon.log.read_text()


def test_a_stop_frees_the_address(data_dir):
    with Daemon(data_dir) as daemon:
        address = daemon.address
    with Daemon(data_dir, listen=(address,)) as daemon:
        assert daemon.address == address


def test_an_interrupt_stops_it_like_a_termination(data_dir):
    with Daemon(data_dir) as daemon:
        subprocess.run(["kill", "-INT", str(daemon.process.pid)], check=True)
        daemon.await_end()
