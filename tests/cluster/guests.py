# SPDX-License-Identifier: Apache-2.0
"""What is run in a guest: the tests that depend on the version of control groups.

A guest is emulated: its cluster takes minutes to start, and a pod up to one.
"""

SECONDS = 5400  # boot included: half an hour where nothing else runs
KINDS_AT_ONCE = 4  # of pods to be killed; more, and nothing gets its turn in time
DEPLOY = "tests/cluster/test_deploy.py"
TESTS = (
    "tests/cluster/test_kubelet.py",
    "tests/cluster/test_kills.py",
    "tests/cluster/test_resize.py",
    f"{DEPLOY}::test_overlay[legacy]",
    f"{DEPLOY}::test_chart[legacy]",
    "tests/cluster/test_node_wide.py",
)
