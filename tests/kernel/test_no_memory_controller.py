# SPDX-License-Identifier: Apache-2.0
"""A container without a memory controller of its own: an ancestor is charged, and ran out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.processes import Hog

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

# On v1 the memory hierarchy is one of its own: whatever is in it has the controller.
pytestmark = pytest.mark.needs("cgroup v2")


def test_it_is_named_by_its_own_cgroup(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (outer,) = make_cgroups("/oomkill-delegated")
    outer.limit(24)
    # Made by itself, so that nothing is written to the outer one's cgroup.subtree_control.
    (inner,) = make_cgroups("/oomkill-delegated/rootless")
    assert "memory" not in inner.read("cgroup.controllers").split()
    assert hog(inner, "anon 64").was_killed()
    record, victim = judged(charged_to=outer.path)
    exact("victims", victim, cgroup=inner.path, cgroup_id=inner.id())
    assert victim["usage_bytes"] is None
    assert victim["limit_bytes"] is None
    exact("trigger", record["trigger"], cgroup=inner.path)
    exact("domain", record["domain"], cgroup=outer.path, cgroup_id=outer.id())
    exact("domain", record["domain"], limit_bytes=24 * MIB)
    assert record["domain"]["children"] == []  # of those that memory is charged to
    assert record["domain"]["stat"]["gone_bytes"] is None
    assert victim["stat"] is None  # it would be the domain's


def test_two_of_them_are_told_apart(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, handed_over_bytes: int
) -> None:
    (outer,) = make_cgroups("/oomkill-delegated")
    outer.limit(24)
    one, other = make_cgroups("/oomkill-delegated/one", "/oomkill-delegated/other")
    idle = hog(one, "name idle adj 1000 anon 16 ready wait").ready()
    asking = hog(other, "name asking anon 12 ready wait")
    assert idle.was_killed()
    record, victim = judged(handed_over_bytes, charged_to=outer.path)
    exact("victims", victim, pid=idle.pid, cgroup=one.path, cgroup_id=one.id())
    exact("trigger", record["trigger"], pid=asking.pid, cgroup=other.path)
    assert record["domain"]["cgroup"] == outer.path


def test_a_cgroup_between_is_not_its_own(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """Charged to the middle one, killed for the outer one's limit: it has numbers of neither."""
    outer, middle = make_cgroups("/oomkill-delegated", "/oomkill-delegated/middle")
    outer.limit(24)
    (inner,) = make_cgroups("/oomkill-delegated/middle/inner")
    assert hog(inner, "anon 64").was_killed()
    record, victim = judged(charged_to=middle.path)
    exact("victims", victim, cgroup=inner.path, cgroup_id=inner.id())
    for field in ("usage_bytes", "limit_bytes", "stat"):
        assert victim[field] is None
    (child,) = record["domain"]["children"]
    exact("domain.children", child, cgroup=middle.path, cgroup_id=middle.id())
    assert record["domain"]["cgroup"] == outer.path
