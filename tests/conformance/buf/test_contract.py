"""The contract under buf: it is well formed, and it breaks neither a release nor the customer."""

import json
import shutil
import subprocess

import pytest

from paths import BUF, CONTRACT, REPOSITORY, SUITES

PROTO = REPOSITORY / "proto"
# The contract of the last release (before the first one: of today). A release copies proto/ here.
BASELINE = SUITES / "baseline"
CUSTOMER = SUITES / "customer"
EXCEPTIONS = {
    "RPC_REQUEST_RESPONSE_UNIQUE", "RPC_REQUEST_STANDARD_NAME", "RPC_RESPONSE_STANDARD_NAME",
}


def buf(*arguments, folder=PROTO, **config):
    """Runs buf on a folder of protos, by its buf.yaml or by the rules that are given instead."""
    if config:
        rules = {section: {"use": use} for section, use in config.items()}
        arguments += ("--config", json.dumps({"version": "v2", **rules}))
    command = [BUF, *arguments, "--error-format=json"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not run.stderr, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_the_contract_passes_the_standard_rules_with_its_exceptions():
    assert buf("lint") == []


def test_the_exceptions_are_exactly_the_three_that_the_customer_forces():
    found = {problem["type"] for problem in buf("lint", lint=["STANDARD"])}
    assert found == EXCEPTIONS


def test_everything_in_the_contract_is_commented():
    assert buf("lint", lint=["COMMENTS"]) == []


def test_the_contract_keeps_what_was_released():
    assert buf("breaking", "--against", BASELINE) == []


# The customer's file lies elsewhere, so the rules compare packages and not files.
def test_the_contract_keeps_what_the_customer_wrote():
    assert buf("breaking", "--against", CUSTOMER, breaking=["PACKAGE"]) == []


@pytest.mark.parametrize("old, new", [
    ("string name = 3;", "string display_name = 3;"),
    ("int32 page_size = 1;", "int64 page_size = 1;"),
    ("returns (stream User);", "returns (User);"),
    ("USER_STATUS_INACTIVE = 2;", "USER_STATUS_INACTIVE = 3;"),
])
def test_a_broken_contract_is_noticed(tmp_path, old, new):
    broken = shutil.copytree(PROTO, tmp_path / "proto")
    file = broken / CONTRACT.relative_to(PROTO)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    assert buf("breaking", "--against", BASELINE, folder=broken)
    assert buf("breaking", "--against", CUSTOMER, folder=broken, breaking=["PACKAGE"])
