"""The README's tour, run as it is written."""

import os
import re
import subprocess

import paths
from daemon import Daemon


def tour():
    """The commands of the README's shell blocks, as one script."""
    text = (paths.REPOSITORY / "README.md").read_text()
    return "".join(re.findall(r"^```sh\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE))


def test_the_tour_does_what_it_says(data_dir):
    script = tour()
    with Daemon(data_dir) as daemon:
        assert script.count("localhost:50051") > 5
        script = script.replace("localhost:50051", daemon.address)
        said = subprocess.run(
            ["bash", "-x"], input=script, capture_output=True, text=True, timeout=60,
            env={**os.environ, "PATH": f"{paths.GRPCURL.parent}:{os.environ['PATH']}"},
        )
        told = said.stdout + said.stderr
        for expected in [
            "user.v1.UserService", "Creates a user and returns it once it is durable",
            '"name": "Ada Lovelace"', '"team": "compilers"', "AlreadyExists", "EMAIL_TAKEN",
            '"name": "Augusta Ada King"', '"revision": "3"',
        ]:
            assert expected in told, told
        # Of all the commands only the one that takes an email twice is refused.
        assert told.count("ERROR:") == 1, told
        assert said.returncode == 0, told
