"""Python clients made from a contract with the customer's own protoc command."""

import subprocess
import sys

from paths import INSTALLED


def generate(contract, name):
    """Makes the client of one proto file and lets this process import it."""
    out = INSTALLED / "stubs" / name
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc", "-I", contract.parent,
            f"--python_out={out}", f"--grpc_python_out={out}", contract.name,
        ],
        check=True,
    )
    sys.path.insert(0, str(out))
