# SPDX-License-Identifier: Apache-2.0
"""Names of the environment's variables by which a run is told what it is to use."""

SETTINGS = "OOMKILL_TEST_CLUSTER"  # JSON, of `python -m tests.cluster`
GUEST = "OOMKILL_TEST_GUEST"  # set in a guest: everything is emulated there
