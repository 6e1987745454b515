# SPDX-License-Identifier: Apache-2.0
"""Who is who of the node's cgroups: those of one container are one row."""

from __future__ import annotations

from container_oomkill.identity.resolver import Resolver
from container_oomkill.identity.shares import name_shares
from container_oomkill.incident.node_memory import NodeMemory, Share

ID = "1" * 64
DOCKER = f"/docker/{ID}"


def named(*shares: Share) -> NodeMemory:
    return name_shares(NodeMemory(cgroups=shares), Resolver().container)


def test_a_containers_cgroups_are_one_row_with_its_limit() -> None:
    found = named(
        Share(cgroup="/system.slice/kubelet.service", usage_bytes=7),
        Share(cgroup=f"{DOCKER}/init.scope", usage_bytes=5, grew_minute_bytes=4, oom_score_adj=900),
        Share(cgroup=DOCKER, cgroup_id=3, usage_bytes=4, limit_bytes=20, grew_minute_bytes=6),
    )
    assert found.cgroups is not None
    first, second = found.cgroups
    assert (first.cgroup, first.cgroup_id, first.usage_bytes) == (DOCKER, 3, 9)
    assert (first.limit_bytes, first.grew_minute_bytes) == (20, 6)  # the outer one has both
    assert first.oom_score_adj == 900  # the outer one has no process of its own
    assert first.container.id == ID
    assert second.container.name == "kubelet.service"
    assert found.host_bytes == 7


def test_without_the_containers_own_cgroup_its_limit_is_unknown() -> None:
    found = named(
        Share(cgroup=f"{DOCKER}/a", usage_bytes=2, limit_bytes=3, grew_minute_bytes=1),
        Share(cgroup=f"{DOCKER}/b", usage_bytes=2, limit_bytes=3, grew_minute_bytes=None),
    )
    assert found.cgroups is not None
    (row,) = found.cgroups
    assert (row.cgroup, row.usage_bytes) == (DOCKER, 4)
    assert (row.cgroup_id, row.limit_bytes, row.grew_minute_bytes) == (None, None, None)


def test_paths_that_are_cut_stay_apart() -> None:
    found = named(
        Share(cgroup="…/a", cgroup_id=1, usage_bytes=2),
        Share(cgroup="…/a", cgroup_id=2, usage_bytes=1),
    )
    assert found.cgroups is not None
    assert [row.cgroup_id for row in found.cgroups] == [1, 2]


def test_where_nothing_is_charged_nothing_is_named() -> None:
    assert name_shares(NodeMemory(), Resolver().container) == NodeMemory()
