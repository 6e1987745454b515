# SPDX-License-Identifier: Apache-2.0
"""The `Kill`: SIGKILL that was not the OOM killer's. Frozen, in base units, no I/O.

The attribute names are the JSON keys (docs/record.md). ``None`` is unknown, never 0. Later stages
fill in `Kill.container`, `Killer.container` and `Killer.unit` (whose.py), then `Killer.cause` and
`Kill.verdict` (cause.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..incident.container import Container

# How it was sent, as far as the kernel tells.
SIGNAL = "signal"  # kill(2) and its like, to this process
CGROUP_KILL = "cgroup_kill"  # cgroup.kill: all of the cgroup
NAMESPACE_END = "namespace_end"  # PID 1 of its PID namespace ended: all of the namespace
PARENT_END = "parent_end"  # PR_SET_PDEATHSIG: its parent ended
SHARED_MEMORY = "shared_memory"  # the OOM killer: it shared its victim's address space


@dataclass(frozen=True, slots=True)
class Target:
    """The process that was killed; of a cgroup or a namespace, its PID 1 or the first one."""

    pid: int | None = None
    tid: int | None = None
    pid_in_container: int | None = None
    is_init: bool | None = None  # PID 1 of its PID namespace: the container ended with it
    ppid: int | None = None
    command: str | None = None
    parent_command: str | None = None
    uid: int | None = None
    cgroup: str | None = None
    cgroup_id: int | None = None
    oom_score_adj: int | None = None
    uptime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Killer:
    """The process that sent the signal."""

    cause: str | None = None  # a name of cause.py
    how: str | None = None  # `SIGNAL` and its like
    pid: int | None = None
    tid: int | None = None
    pid_in_container: int | None = None  # in its own PID namespace
    ppid: int | None = None
    command: str | None = None
    parent_command: str | None = None
    uid: int | None = None
    cgroup: str | None = None
    cgroup_id: int | None = None
    unit: str | None = None  # systemd's, where it is in no container
    container: Container | None = None  # where it is in one
    is_inside: bool | None = None  # in the target's PID namespace, or in one below it
    is_above: bool | None = None  # in a PID namespace above the target's
    from_outside: bool | None = None  # came into its PID namespace from outside, as by `exec`
    exit_code: int | None = None  # where its own end was the cause; None: not by exit(2)
    exit_signal: str | None = None  # the signal it ended by


@dataclass(frozen=True, slots=True)
class Stop:
    """A signal that asked the same process to end, before it was killed."""

    signal: str | None = None  # SIGTERM
    seconds_before: float | None = None
    pid: int | None = None  # of whoever sent it
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL of one process, or of all that ended with it."""

    time: float  # seconds since the epoch, from the kernel's clock
    boot_ns: int
    node: str
    kernel: str
    verdict: str | None
    container: Container
    target: Target
    killer: Killer
    stop: Stop | None = None  # None: it was not asked to stop
    pod_end: str | None = None  # one of `POD_ENDS`: by the cluster's API, as of then

    @property
    def id(self) -> str:
        """Its permanent name: when it was, since boot, and the target's pid: ``1dcd6500-k4711``."""
        return f"{self.boot_ns:x}-k{self.target.pid}"
