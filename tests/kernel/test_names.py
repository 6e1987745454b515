# SPDX-License-Identifier: Apache-2.0
"""Kills in cgroups named as others' containers, as batch systems' jobs, and as nothing known."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import accumulate

import pytest

from container_oomkill.probe.kernel_counts import counts_by_cgroup

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.processes import Hog, Recorder

BANK = "0123456789abcdef" * 4
USER = "/user.slice/user-4711.slice/user@4711.service"
MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Kill = Callable[[str], dict[str, object]]


@pytest.fixture
def kill(recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog) -> Kill:
    def by_its_own_limit(path: str) -> dict[str, object]:
        """Kill a process there; return its container in the record."""
        *_, cgroup = make_cgroups(*list(accumulate(path.split("/"), "{}/{}".format))[1:])
        cgroup.limit(16)
        killed = hog(cgroup, "uid 4711 anon 32")
        assert killed.was_killed()
        record = recorder.record()
        while record["victims"][0]["tid"] != killed.pid:  # another's on this machine
            record = recorder.record()
        assert record["scope"] == "container"
        container: dict[str, object] = record["container"]
        return container

    return by_its_own_limit


@pytest.mark.parametrize(
    "made", ["lxc.payload.bank", "oomkill.scope/machine.slice/machine-bank.scope"]
)
def test_a_users_cgroup_is_nobody_elses_container(kill: Kill, made: str) -> None:
    found = kill(f"{USER}/{made}")
    unit = made.split("/")[0] if "/" in made else "user@4711.service"
    assert (found["id"], found["runtime"], found["service"]) == (None, "systemd", unit)
    assert str(found["name"]).endswith(made)
    assert found["unresolved"] == "unknown_form"


def test_nor_is_a_services(kill: Kill) -> None:
    found = kill(f"/oomkill.slice/oomkill.service/docker-{BANK}.scope")
    assert (found["id"], found["runtime"]) == (None, "systemd")
    assert found["name"] == f"oomkill.service/docker-{BANK}.scope"


def test_a_slurm_job(kill: Kill) -> None:
    found = kill("/oomkill.slice/n1_slurmstepd.scope/job_42/step_0/user/task_3")
    assert (found["runtime"], found["id"]) == ("slurm", "job_42/step_0/task_3")
    assert (found["name"], found["service"]) == ("job_42/step_0/task_3", "uid_4711")
    assert found["unresolved"] is None


def test_a_container_above_a_path_too_long(kill: Kill) -> None:
    """60 levels below it, and what looks like another one's at their end."""
    below = "/".join("x" * 60)
    found = kill(f"/oomkill-docker/{BANK}/{below}/lxc.payload.bank")
    assert (found["id"], found["name"]) == (BANK, None)
    assert found["unresolved"] in ("no_state", "not_found")


def test_a_name_that_is_not_utf8_is_one_name(kill: Kill) -> None:
    found = kill(os.fsdecode(b"/oomkill-caf\xe9"))
    assert str(found["name"]).endswith("-caf\\xe9")
    assert f"/{found['name']}" in [path for path, *_ in counts_by_cgroup()]
