"""How the daemon refuses to start: the exit code says which kind, the message what to do."""

import os
import re
import subprocess

import pytest

from daemon import ENVIRONMENT, Daemon, command

USAGE, IO, LOCKED, CONFIGURATION = 64, 74, 75, 78

# Root may write anywhere, unless it gives that up.
BOUND_BY_PERMISSIONS = (
    ["setpriv", "--bounding-set", "-dac_override", "--"] if os.geteuid() == 0 else []
)


def refusal(data_dir, *arguments, prefix=()):
    """Runs a daemon that must not start; returns its exit code and its message."""
    run = subprocess.run(
        [*prefix, *command(data_dir, *arguments)],
        env=ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=30,
    )
    assert run.stderr.strip(), "a refusal says what happened"
    return run.returncode, run.stderr


@pytest.fixture
def used_data_dir(data_dir):
    """A data directory that a daemon made and left in good order."""
    with Daemon(data_dir):
        pass
    return data_dir


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_an_address_beyond_loopback_is_refused(data_dir, address):
    code, message = refusal(data_dir, "--listen", address)
    assert code == CONFIGURATION
    assert address.rsplit(":", 1)[0].strip("[]") in message


def test_an_unknown_flag_is_refused(data_dir):
    code, message = refusal(data_dir, "--no-such-flag")
    assert code == USAGE
    assert "--no-such-flag" in message


def test_an_address_that_is_none_is_refused(data_dir):
    code, _ = refusal(data_dir, "--listen", "nowhere")
    assert code in (USAGE, CONFIGURATION)


def test_a_second_daemon_is_told_of_the_first(data_dir):
    with Daemon(data_dir) as first:
        code, message = refusal(data_dir, "--listen", "127.0.0.1:0")
        assert code == LOCKED
        assert str(first.process.pid) in re.findall(r"\d+", message)
    with Daemon(data_dir):
        pass


def test_a_data_directory_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    code, message = refusal(tmp_path / "file" / "data", "--listen", "127.0.0.1:0")
    assert code == IO
    assert str(tmp_path / "file") in message


def refused_as_unwritable(data_dir, locked):
    locked.chmod(0o555)
    try:
        code, message = refusal(
            data_dir, "--listen", "127.0.0.1:0", prefix=BOUND_BY_PERMISSIONS
        )
    finally:
        locked.chmod(0o755)
    assert code == IO
    assert str(data_dir) in message


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    refused_as_unwritable(locked / "data", locked)


def test_an_empty_data_directory_that_cannot_be_written_is_refused(data_dir):
    data_dir.mkdir()
    refused_as_unwritable(data_dir, data_dir)


def test_a_newer_format_is_refused_and_left_alone(used_data_dir):
    file = used_data_dir / "FORMAT"
    written = file.read_text()
    assert written.startswith("rosterd 1\n")
    newer = written.replace("rosterd 1\n", "rosterd 99\n", 1)
    file.write_text(newer)
    code, message = refusal(used_data_dir, "--listen", "127.0.0.1:0")
    assert code == CONFIGURATION
    assert "99" in message
    assert file.read_text() == newer
    file.write_text(written)
    with Daemon(used_data_dir):
        pass
