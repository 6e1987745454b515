# SPDX-License-Identifier: Apache-2.0
"""Whose limit: nested cgroups, groups across them, and paths of every kind."""

from __future__ import annotations

import errno
import os
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, UNIFIED, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

POD = str(uuid.uuid4())
ONE, OTHER = secrets.token_hex(32), secrets.token_hex(32)
NAMES = {
    "spaces": " two words ",
    "quotes": '"quo\'tes" \\ and $',
    "control": "\x1b[31m\t\x01",
    "utf-8": "größe→",
}
PATH_CLIMB = 256  # bpf/memcg.bpf.h
PATH_DEPTH = 56  # names of a path that is whole: OOMKILL_PATH_DEPTH and PATH_ENDS


def test_an_ancestors_limit(judged: Judged, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    paths = ("/oomkill-outer", "/oomkill-outer/middle", "/oomkill-outer/middle/inner")
    outer, middle, inner = make_cgroups(*paths)
    outer.limit(16)
    middle.limit(128)
    inner.limit(64)
    assert hog(inner, "anon 64").was_killed()
    record, victim = judged()
    assert record["scope"] == "cgroup"
    exact("domain", record["domain"], cgroup=outer.path, cgroup_id=outer.id())
    exact("victims", victim, cgroup_id=inner.id(), limit_bytes=64 * MIB)


@pytest.mark.needs("CAP_SYS_RESOURCE")
def test_another_container_of_the_pod_asked(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, handed_over_bytes: int
) -> None:
    paths = [f"/kubepods/pod{POD}/{container}" for container in (ONE, OTHER)]
    _, pod, one, other = make_cgroups("/kubepods", f"/kubepods/pod{POD}", *paths)
    pod.limit(24)
    idle = hog(one, "name idle adj 1000 anon 16 ready wait").ready()
    hog(other, "name asking adj -1000 anon 16 ready wait").ready()
    assert idle.was_killed()
    record, victim = judged(handed_over_bytes)
    assert record["scope"] == "pod"
    assert record["container"]["id"] == ONE
    assert record["trigger"]["container_id"] == OTHER
    exact("trigger", record["trigger"], cgroup=other.path)
    exact("victims", victim, cgroup=one.path)
    assert "of another container" in record["verdict"]


@pytest.mark.needs("cgroup v2")
def test_a_group_that_is_a_pod(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    paths = [f"/kubepods/pod{POD}/{container}" for container in (ONE, OTHER)]
    _, pod, one, other = make_cgroups("/kubepods", f"/kubepods/pod{POD}", *paths)
    pod.limit(24)
    pod.write("memory.oom.group", "1")
    small = [hog(cgroup, "anon 1 ready wait").ready() for cgroup in (one, other)]
    big = hog(one, "anon 64")
    members = {process.pid: process for process in (*small, big)}
    assert all(process.was_killed() for process in members.values())
    record = recorder.record()
    assert record["oom"]["group"] is True
    assert record["scope"] == "pod"
    assert record["domain"]["cgroup"] == pod.path
    assert {victim["pid"] for victim in record["victims"]} == set(members)
    assert {victim["cgroup"] for victim in record["victims"]} == {one.path, other.path}
    assert {killed.tid for killed in kernel_log.killed_so_far(*members)} == set(members)


@pytest.mark.parametrize("kind", NAMES)
def test_any_name(judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, kind: str) -> None:
    (cgroup,) = make_cgroups(f"/oomkill-{NAMES[kind]}")
    cgroup.limit(16)
    assert hog(cgroup, "anon 64").was_killed()
    record, victim = judged()
    assert victim["cgroup"] == record["domain"]["cgroup"] == cgroup.path


def test_a_name_with_a_newline_cannot_be() -> None:
    """So a record's path needs no way to write one."""
    with pytest.raises(OSError, match="Invalid argument") as refused:
        Cgroup("/oomkill\nlines")
    assert refused.value.errno == errno.EINVAL


@pytest.mark.parametrize("depth", [40, PATH_DEPTH])
def test_a_deep_path_is_whole(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, depth: int
) -> None:
    *_, leaf = make_cgroups(*nested(["oomkill-deep", *map(str, range(depth - 1))]))
    leaf.limit(16)
    assert hog(leaf, "anon 64").was_killed()
    record, victim = judged()
    assert victim["cgroup"] == record["domain"]["cgroup"] == leaf.path
    assert victim["cgroup"].count("/") == depth


@pytest.mark.parametrize("depth", [PATH_DEPTH + 1, 100, 250])
def test_of_a_path_too_deep_both_ends_are_kept(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog, depth: int
) -> None:
    """What is nearest the root says whose it is."""
    *_, leaf = make_cgroups(*nested(["oomkill-deep", *map(str, range(depth - 1))]))
    leaf.limit(16)
    assert hog(leaf, "anon 64").was_killed()
    record = recorder.record()
    (victim,) = record["victims"]
    at_root, at_leaf = victim["cgroup"].split("/…/")
    assert at_root == "/".join(leaf.path.split("/")[:9])
    assert leaf.path.endswith("/" + at_leaf)
    assert at_leaf.count("/") >= 40
    assert record["scope"] == "container"
    exact("victims", victim, cgroup_id=leaf.id())


def test_a_path_deeper_than_is_climbed_shows_that_its_start_is_missing(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    *_, leaf = make_cgroups(
        *nested(["oomkill-deep", *map(str, range(PATH_DEPTH + PATH_CLIMB + 2))])
    )
    leaf.limit(16)
    assert hog(leaf, "anon 64").was_killed()
    record = recorder.record()
    (victim,) = record["victims"]
    start, rest = victim["cgroup"].split("/", 1)
    assert start == "…"
    assert leaf.path.endswith("/" + rest)
    assert record["scope"] == "container"


def test_the_longest_path_a_program_can_name_is_whole(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    names = ["/oomkill-long", *(f"{n}".zfill(250) for n in range(15))]
    *_, leaf = make_cgroups(*nested(names))
    leaf.limit(16)
    assert len(os.fspath(leaf.folder)) > 3750  # PATH_MAX is 4096
    assert hog(leaf, "anon 64").was_killed()
    record = recorder.record()
    assert record["victims"][0]["cgroup"] == record["domain"]["cgroup"] == leaf.path
    assert record["trigger"]["cgroup"] == leaf.path


@pytest.mark.needs("hybrid")
def test_the_memory_controllers_path_is_the_one(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """In a hybrid system a process is in a cgroup of v2 as well, which has no limit."""
    (cgroup,) = make_cgroups("/oomkill-hybrid")
    cgroup.limit(16)
    other = UNIFIED / "oomkill-other"
    other.mkdir()
    try:
        started = hog(cgroup, "ready go anon 64").ready()
        (other / "cgroup.procs").write_text(str(started.pid))
        assert "/oomkill-other" in Path(f"/proc/{started.pid}/cgroup").read_text()
        started.go()
        assert started.was_killed()
        record, victim = judged()
        assert victim["cgroup"] == record["domain"]["cgroup"] == cgroup.path
    finally:
        other.rmdir()


def nested(names: list[str]) -> list[str]:
    """Return the paths of cgroups, each in the one before."""
    return ["/" + "/".join(names[: n + 1]).lstrip("/") for n in range(len(names))]
