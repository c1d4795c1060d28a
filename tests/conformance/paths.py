"""Where the suites find the daemon, the contract and the installed clients."""

import os
from pathlib import Path

SUITES = Path(__file__).resolve().parent
REPOSITORY = SUITES.parent.parent
CONTRACT = REPOSITORY / "proto" / "user" / "v1" / "user_service.proto"
CUSTOMER_CONTRACT = SUITES / "customer" / "user_service.proto"
INSTALLED = REPOSITORY / "target" / "conformance"
GRPCURL = INSTALLED / "python" / "bin" / "grpcurl"
BUF = INSTALLED / "node" / "node_modules" / ".bin" / "buf"
DAEMON = Path(os.environ.get("ROSTERD_BIN", REPOSITORY / "target" / "release" / "rosterd"))
