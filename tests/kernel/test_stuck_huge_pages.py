# SPDX-License-Identifier: Apache-2.0
"""A limit without room for a huge page: SIGBUS, which the OOM killer knows nothing of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.mounts import huge_pages_charged
from ..support.kernel.processes import DEADLINE, Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

TIMES = 3
POOL_MIB = 40

pytestmark = [
    pytest.mark.needs("guest"),
    pytest.mark.needs("flight recorder"),
    pytest.mark.needs("hugetlb accounting"),
    pytest.mark.needs("SIGBUS without room for a huge page"),
]


@pytest.fixture
def watching(hook: str) -> Iterator[Recorder]:
    """Started when cgroups are charged for huge pages: else it does not look."""
    with huge_pages_charged(POOL_MIB), Recorder(hook) as recorder:
        yield recorder


def test_who_gets_sigbus_is_told_of(
    watching: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """Also where the cgroup is gone with its last process, as a container's is."""
    below, other = make_cgroups("/oomkill-huge", "/oomkill-roomy")
    below.limit(24)
    other.limit(64)
    assert hog(other, "huge 32").process.wait(DEADLINE) == 0
    assert hog(below, f"times {TIMES} huge 32").process.wait(DEADLINE) == 0
    assert below.oom_kills() == 0
    below.remove()
    record = watching.stuck(below.path)
    exact("stuck", record, kind="stuck", cgroup=below.path, limit_bytes=24 * MIB)
    exact("stuck", record["stuck"], cause="huge_page_refused", events=TIMES, ended=True)
    assert "SIGBUS" in record["verdict"]
    assert other.path not in watching.were_stuck()
