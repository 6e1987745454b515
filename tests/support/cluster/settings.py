# SPDX-License-Identifier: Apache-2.0
"""Names of the environment variables that tell a run what to use."""

SETTINGS = "OOMKILL_TEST_CLUSTER"  # JSON, of `python -m tests.cluster`
GUEST = "OOMKILL_TEST_GUEST"  # set in a guest: everything is emulated there
