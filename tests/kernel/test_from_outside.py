# SPDX-License-Identifier: Apache-2.0
"""A victim that came into its container from outside, as by `kubectl exec`, or that did not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

NEW_NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child"]


@pytest.fixture
def victim(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> Callable[..., dict[str, Any]]:
    """Kill what runs in a cgroup; ``from_outside``: beside a container's first process."""
    (cgroup,) = make_cgroups("/oomkill-entered")
    cgroup.limit(24)

    def kill(script: str, wrap: list[str], *, from_outside: bool) -> dict[str, Any]:
        if from_outside:
            first = hog(cgroup, "ready wait", wrap=NEW_NAMESPACE).ready()
            (inside,) = set(map(int, cgroup.read("cgroup.procs").split())) - {first.pid}
            wrap = ["nsenter", "--target", str(inside), "--pid", *wrap]
        hog(cgroup, script, wrap=wrap)
        (victim,) = recorder.record()["victims"]
        kernel_log.killed(victim["tid"])
        found: dict[str, Any] = victim
        return found

    return kill


def test_the_first_process(victim: Callable[..., dict[str, Any]]) -> None:
    killed = victim("anon 64", NEW_NAMESPACE, from_outside=False)
    assert killed["pid_in_container"] == 1
    assert killed["from_outside"] is False


@pytest.mark.parametrize("forks", [1, 3])
def test_its_children(victim: Callable[..., dict[str, Any]], forks: int) -> None:
    killed = victim("fork " * forks + "name child anon 64", NEW_NAMESPACE, from_outside=False)
    assert killed["command"] == "child"
    assert killed["pid_in_container"] == forks + 1
    assert killed["from_outside"] is False


def test_the_first_process_of_a_namespace_within(victim: Callable[..., dict[str, Any]]) -> None:
    killed = victim("anon 64", [*NEW_NAMESPACE, *NEW_NAMESPACE], from_outside=False)
    assert killed["pid_in_container"] == 1
    assert killed["from_outside"] is False


def test_one_put_in_from_outside(victim: Callable[..., dict[str, Any]]) -> None:
    killed = victim("name probe anon 64", [], from_outside=True)
    assert killed["command"] == "probe"
    assert killed["pid_in_container"] > 1
    assert killed["from_outside"] is True


def test_what_that_started(victim: Callable[..., dict[str, Any]]) -> None:
    """The probe's command is a shell, as they are."""
    killed = victim("name probe anon 64", ["sh", "-c", '"$@"; exit 1', "sh"], from_outside=True)
    assert killed["parent_command"] == "sh"
    assert killed["from_outside"] is True
