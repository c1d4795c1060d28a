"""What a refused call said, decoded: the code, the ErrorInfo and the BadRequest of its details.

The rules that hold for every error are checked here: an ErrorInfo of our domain is always there,
and INVALID_ARGUMENT always names a field.
"""

import re
from dataclasses import dataclass

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

DOMAIN = "rosterd"


@dataclass(frozen=True)
class Refusal:
    code: str
    reason: str
    message: str
    metadata: dict
    fields: list


def refusal(call):
    """Runs a call that must be refused; streams are read to their end."""
    with pytest.raises(grpc.RpcError) as caught:
        answer = call()
        if not hasattr(answer, "DESCRIPTOR"):
            list(answer)
    return decode(caught.value)


def decode(error):
    status = rpc_status.from_call(error)
    assert status is not None, f"no details: {error}"
    info = _detail(status, error_details_pb2.ErrorInfo)
    assert info is not None, f"no ErrorInfo: {error}"
    assert info.domain == DOMAIN
    assert re.fullmatch(r"[A-Z][A-Z0-9_]*[A-Z0-9]", info.reason), info.reason
    assert status.message, "an error says what is wrong"
    bad_request = _detail(status, error_details_pb2.BadRequest)
    fields = [violation.field for violation in bad_request.field_violations] if bad_request else []
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        assert fields and all(fields), f"no field is named: {error}"
    return Refusal(error.code().name, info.reason, status.message, dict(info.metadata), fields)


def _detail(status, kind):
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    return None


def invalid(call, *fields):
    """Checks that a call is refused for exactly these fields."""
    refused = refusal(call)
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID"), refused
    assert sorted(set(refused.fields)) == sorted(fields), refused


def refused(call, code, reason):
    """Checks why a call is refused, and returns what it said."""
    answer = refusal(call)
    assert (answer.code, answer.reason) == (code, reason), answer
    return answer
