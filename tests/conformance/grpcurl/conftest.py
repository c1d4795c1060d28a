"""grpcurl, run against the daemon of the file's tests."""

import json
import subprocess
from dataclasses import dataclass

import pytest

from paths import GRPCURL


@dataclass(frozen=True)
class Said:
    """What grpcurl printed, and its exit code."""

    code: int
    out: str
    err: str

    def answers(self):
        """The answers of a call that must succeed."""
        assert self.code == 0, self.err
        decoder, text, found = json.JSONDecoder(), self.out.strip(), []
        while text:
            answer, end = decoder.raw_decode(text)
            found.append(answer)
            text = text[end:].lstrip()
        return found


@pytest.fixture(scope="module")
def grpcurl(daemon):
    def grpcurl(*words, flags=()):
        run = subprocess.run(
            [GRPCURL, "-plaintext", *flags, daemon.address, *words], capture_output=True, text=True
        )
        return Said(run.returncode, run.stdout, run.stderr)

    return grpcurl


@pytest.fixture(scope="module")
def call(grpcurl):
    """Calls a method with requests, the way it is typed in a shell."""

    def call(method, *requests, flags=()):
        data = " ".join(map(json.dumps, requests))
        return grpcurl(method, flags=("-d", data, *flags))

    return call
