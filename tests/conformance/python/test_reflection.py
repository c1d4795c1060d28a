"""Reflection by grpcio-reflection's client, which speaks v1alpha: the contract reads back whole."""

import user_service_pb2 as pb
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def contract(file):
    """A file's messages, enums and services as one comparable text.

    Its own name is left out, and the names in JSON, which say nothing new and which only some
    compilers write down.
    """
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    proto.ClearField("name")
    for message in proto.message_type:
        clear_json_names(message)
    return str(proto)


def clear_json_names(message):
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        clear_json_names(nested)


def test_every_service_is_listed(channel):
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "user.v1.UserService" in services
    assert "grpc.health.v1.Health" in services


def test_the_contract_reads_back_as_it_was_written(channel):
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    reflected = pool.FindServiceByName("user.v1.UserService").file
    assert contract(reflected) == contract(pb.DESCRIPTOR)
