# SPDX-License-Identifier: Apache-2.0
"""Who sent it, in words: by what the sender cannot have made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from container_oomkill.identity.resolver import SANDBOX_ADJ, Resolver
from container_oomkill.incident.model import Container
from container_oomkill.killers.cause import CAUSES, cause_of, explain
from container_oomkill.killers.model import Killer, Stop
from container_oomkill.killers.whose import is_of_interest, resolve_kill

from ..support.kills import C, by, kill

TERM = Stop(signal="SIGTERM", seconds_before=10.0, pid=4699, command="runc")
OTHER = Container("cd" * 32, "shop-db-1", "docker")
HOSTS: dict[str, Any] = {"unit": "session-3.scope", "is_above": True, "parent_command": "bash"}


@pytest.mark.parametrize(
    ("killer", "stop", "cause"),
    [
        (by(), TERM, "runtime_stop"),
        (by(), None, "runtime_kill"),
        (by("runc:[2:INIT]"), None, "runtime_kill"),
        (by("crun", how="cgroup_kill"), TERM, "runtime_stop"),
        (by("systemd", pid=1, unit="init.scope"), None, "systemd"),
        (by("systemd-oomd", unit="systemd-oomd.service", uid=997), None, "systemd_oomd"),
        (by("systemd-oomd", unit="systemd-oomd.service", how="cgroup_kill"), None, "systemd_oomd"),
        (by("earlyoom", unit="earlyoom.service", uid=61234), None, "earlyoom"),
        (by("earlyoom", unit=None, uid=0), None, "earlyoom"),
        (by("bash", how="cgroup_kill", **HOSTS), None, "cgroup_kill"),
        (by("bash", **HOSTS), None, "user"),
        (by("killall", **HOSTS), TERM, "user"),
        (by("backup", **HOSTS), None, "host_process"),
        (by("backup", how="parent_end", **HOSTS), None, "parent_end"),
        (by("sh", is_inside=True, is_above=False), None, "inside"),
        (by("sh", is_inside=True, is_above=False, container=Container(C)), None, "inside"),
        (by("sh", is_inside=True, is_above=False, container=OTHER), None, "other_container"),
        (by("sh", is_above=False, cgroup_id=77), None, "inside"),
        (by("top", is_above=False, container=Container(C)), None, "inside"),
        (by("sh", is_above=False, container=OTHER), None, "other_container"),
        (by("sh", how="namespace_end", is_inside=True), None, "namespace_end"),
        (by("sh", how="shared_memory"), None, "shared_memory"),
        (by(None), None, "unknown"),
    ],
)
def test_causes(killer: Killer, stop: Stop | None, cause: str) -> None:
    found = cause_of(kill(killer=killer, stop=stop))
    assert found == cause
    assert found in CAUSES


@pytest.mark.parametrize("name", ["runc", "systemd-oomd", "earlyoom", "systemd"])
def test_a_name_counts_only_where_its_place_does(name: str) -> None:
    """Whoever is in a container may call themselves what they like, root or not."""
    inside = by(name, pid=9, unit=None, is_inside=True, is_above=False, container=Container(C))
    assert cause_of(kill(killer=inside)) == "inside"
    other = by(name, pid=9, unit=None, is_above=False, container=OTHER)
    assert cause_of(kill(killer=other)) == "other_container"
    user = by(name, unit="user@1000.service", uid=1000)
    assert cause_of(kill(killer=user)) not in ("systemd_oomd", "earlyoom", "systemd")


def test_a_runtime_in_a_container_is_one_for_what_it_starts() -> None:
    """Docker in Docker: of both, the outermost container is the one that is named."""
    inner = by(container=Container(C), cgroup=f"/docker/{C}/docker", is_above=True)
    assert cause_of(kill(killer=inner, stop=TERM)) == "runtime_stop"


def test_every_cause_has_words() -> None:
    for cause, changes in {
        "runtime_stop": "had been sent SIGTERM 10.0 s before and had not ended",
        "runtime_kill": "without being asked to stop",
        "systemd_oomd": "the kernel's OOM killer did not run",
        "earlyoom": "short of free memory",
        "user": "bash [4720], started by sudo of user 1000 in session-3.scope",
    }.items():
        killer = {
            "systemd_oomd": by("systemd-oomd", unit="systemd-oomd.service"),
            "earlyoom": by("earlyoom", unit="earlyoom.service"),
            "user": by("bash", **HOSTS | {"parent_command": "sudo", "uid": 1000}),
        }.get(cause, by())
        told = explain(kill(killer=killer, stop=TERM if cause == "runtime_stop" else None))
        assert told.killer.cause == cause
        assert changes in str(told.verdict)
    for how in ("namespace_end", "shared_memory", "parent_end", "cgroup_kill"):
        assert explain(kill(killer=by("x", how=how))).verdict


@pytest.mark.parametrize(
    ("pod_end", "stop", "cause", "words"),
    [
        ("evicted", TERM, "eviction", "its pod was evicted"),
        ("evicted", None, "eviction", "the kernel's OOM killer did not run"),
        ("deleted", TERM, "runtime_stop", "its pod was being deleted"),
        ("stays", TERM, "runtime_stop", "a liveness or startup probe failed"),
        ("stays", None, "runtime_kill", "its pod was not being deleted"),
        ("liveness_failed", TERM, "failed_probe", "its liveness probe had failed"),
        ("liveness_failed", TERM, "failed_probe", "had not ended when its time to stop was over"),
        ("startup_failed", None, "failed_probe", "its startup probe had failed"),
    ],
)
def test_the_cluster_tells_what_a_runtime_did_it_for(
    pod_end: str, stop: Stop | None, cause: str, words: str
) -> None:
    told = explain(replace(kill(stop=stop), pod_end=pod_end))
    assert told.killer.cause == cause
    assert words in str(told.verdict)
    by_hand = explain(replace(kill(killer=by("bash", **HOSTS)), pod_end=pod_end))
    assert by_hand.killer.cause == "user"


def test_what_was_killed_is_said() -> None:
    assert str(explain(kill()).verdict).startswith("its PID 1, nginx [4711], was killed by")
    worker = kill(is_init=False, pid_in_container=7)
    assert "nginx [4711], which is not its PID 1, was" in str(explain(worker).verdict)
    ended = kill(killer=by("sh", how="namespace_end", exit_code=3, is_inside=True))
    assert "ended with exit code 3" in str(explain(ended).verdict)
    ended = kill(killer=by("sh", how="namespace_end", exit_signal="SIGSEGV", is_inside=True))
    assert "ended by SIGSEGV" in str(explain(ended).verdict)


def test_whoever_asked_before_is_said_of_every_cause() -> None:
    told = explain(kill(killer=by("bash", **HOSTS), stop=TERM))
    assert str(told.verdict).endswith("it had been sent SIGTERM by runc [4699] 10.0 s before")


def test_containers_are_named_and_units_told() -> None:
    killer = by("sh", cgroup=f"/docker/{'cd' * 32}", unit=None, is_above=False)
    told = resolve_kill(kill(killer=killer, container=Container()), Resolver())
    assert told.container.id == C
    assert told.killer.container is not None
    assert told.killer.container.id == "cd" * 32
    assert (told.killer.unit, told.killer.cause) == (None, "other_container")
    told = resolve_kill(kill(killer=by(unit=None)), Resolver())
    assert (told.killer.unit, told.killer.container) == ("containerd.service", None)
    assert told.verdict


def test_the_hosts_own_processes_are_left_out_but_for_memory() -> None:
    def host(killer: Killer) -> bool:
        path = "/system.slice/nginx.service"
        return is_of_interest(resolve_kill(kill(killer=killer, cgroup=path), Resolver()))

    assert not host(by("bash"))
    assert host(by("systemd-oomd", cgroup="/system.slice/systemd-oomd.service"))
    assert is_of_interest(resolve_kill(kill(), Resolver()))


def test_the_end_of_a_pods_sandbox_by_its_runtime_is_left_out() -> None:
    """Each pod's end has it: the runtime kills the sandbox, and asks it nothing before."""
    sandbox = Container(C, "POD", "containerd", pod="cart", pod_uid="0")
    unnamed = replace(sandbox, name=None)

    def told(container: Container, killer: Killer, oom_score_adj: int = SANDBOX_ADJ) -> bool:
        made = kill(killer=killer, container=container)
        made = replace(made, target=replace(made.target, oom_score_adj=oom_score_adj))
        return is_of_interest(explain(made))

    assert not told(sandbox, by())
    assert not told(sandbox, by(), oom_score_adj=0)
    assert not told(unnamed, by())
    assert told(unnamed, by(), oom_score_adj=-997)
    assert told(replace(sandbox, name="app"), by())
    assert told(sandbox, by("bash", **HOSTS))
