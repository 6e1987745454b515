# SPDX-License-Identifier: Apache-2.0
"""What is run in a guest, in parts: each boots one of its own, and has its own time.

A guest is emulated: its cluster takes minutes to start, and a pod up to one. The tests that do not
depend on the version of control groups are left out.
"""

from __future__ import annotations

from .kinds import KINDS, Kind

KINDS_EACH = 4  # more at once, and nothing gets its turn in time
SECONDS = 3600  # for a part, boot included: 15 minutes where nothing else runs
DEPLOY = "tests/cluster/test_deploy.py"


def _of(kinds: list[Kind]) -> list[str]:
    return ["tests/cluster/test_kills.py", "-k", " or ".join(f"[{kind}]" for kind in kinds)]


def _parts() -> dict[str, list[str]]:
    """The arguments of pytest, by name; first what cgroup v2 alone has."""
    kinds = sorted(
        (each for each in KINDS if each.only != "v1"),
        key=lambda each: each.only != "v2" and each.status_v2 is None,
    )
    some = [kinds[start : start + KINDS_EACH] for start in range(0, len(kinds), KINDS_EACH)]
    return {
        "kubelet": ["tests/cluster/test_kubelet.py", "tests/cluster/test_node_wide.py"],
        **{f"kills-{number}": _of(each) for number, each in enumerate(some, 1)},
        "resize": ["tests/cluster/test_resize.py"],
        "kubectl": ["tests/cluster/test_kubectl.py"],
        "legacy": [f"{DEPLOY}::test_overlay[legacy]", f"{DEPLOY}::test_chart[legacy]"],
    }


PARTS = _parts()
