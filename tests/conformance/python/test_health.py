"""Health: it follows the daemon's life, for the whole and for each service."""

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from user_service_pb2 import GetUserRequest
from user_service_pb2_grpc import UserServiceStub

from daemon import Daemon


@pytest.fixture(scope="module")
def health(channel):
    return HealthStub(channel)


def services(channel):
    """What has a health of its own: the whole, and each service of ours."""
    reflected = ProtoReflectionDescriptorDatabase(channel).get_services()
    ours = [service for service in reflected if not service.startswith("grpc.")]
    assert "user.v1.UserService" in ours
    return ["", *ours]


def test_a_check_says_serving_for_the_whole_and_for_each_service(channel, health):
    for service in services(channel):
        answer = health.Check(HealthCheckRequest(service=service))
        assert answer.status == HealthCheckResponse.SERVING, service


def test_a_check_of_an_unknown_service_is_not_found(health):
    with pytest.raises(grpc.RpcError) as refused:
        health.Check(HealthCheckRequest(service="no.such.Service"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_watch_of_an_unknown_service_says_so_and_stays(health):
    watch = health.Watch(HealthCheckRequest(service="no.such.Service"))
    assert next(watch).status == HealthCheckResponse.SERVICE_UNKNOWN
    assert watch.is_active()
    watch.cancel()


def test_a_drain_is_announced_and_then_nobody_is_served(data_dir):
    with Daemon(data_dir) as daemon, daemon.channel() as channel:
        health = HealthStub(channel)
        watches = [health.Watch(HealthCheckRequest(service=name)) for name in services(channel)]
        for watch in watches:
            assert next(watch).status == HealthCheckResponse.SERVING
        daemon.terminate()
        for watch in watches:
            assert next(watch).status == HealthCheckResponse.NOT_SERVING
            watch.cancel()
        daemon.await_end()
        with pytest.raises(grpc.RpcError) as refused:
            UserServiceStub(channel).GetUser(GetUserRequest(user_id="nobody"))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
