"""The Python client made from the customer's own five-RPC contract."""

import paths
import stubs

stubs.generate(paths.CUSTOMER_CONTRACT, "customer")
