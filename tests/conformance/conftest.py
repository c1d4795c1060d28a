"""The daemon that the tests of one file share."""

import pytest

from daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("daemon") / "data") as running:
        yield running


@pytest.fixture
def data_dir(tmp_path):
    """A data directory that is not there yet, for tests that start daemons themselves."""
    return tmp_path / "data"
