# SPDX-License-Identifier: Apache-2.0
"""Takes a `Kill` whose containers are named, gives its cause and one sentence.

A command is a name that anyone may give themselves. So it counts only where its cgroup, or its PID
namespace, is one that the killed container cannot get into.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..identity.metadata import DELETED, EVICTED, LIVENESS_FAILED, STARTUP_FAILED, STAYS
from ..units import duration
from .model import CGROUP_KILL, NAMESPACE_END, PARENT_END, SHARED_MEMORY, Kill, Killer, Target

if TYPE_CHECKING:
    from ..incident.model import Container

RUNTIME_STOP = "runtime_stop"
RUNTIME_KILL = "runtime_kill"
EVICTION = "eviction"
FAILED_PROBE = "failed_probe"
SYSTEMD = "systemd"
SYSTEMD_OOMD = "systemd_oomd"
EARLYOOM = "earlyoom"
BY_CGROUP = "cgroup_kill"
ENDED = "namespace_end"
PARENT = "parent_end"
SHARED = "shared_memory"
INSIDE = "inside"
OTHER_CONTAINER = "other_container"
USER = "user"
HOST = "host_process"
UNKNOWN = "unknown"
# Every value of `Killer.cause`.
CAUSES = (
    *(
        RUNTIME_STOP,
        RUNTIME_KILL,
        EVICTION,
        FAILED_PROBE,
        SYSTEMD,
        SYSTEMD_OOMD,
        EARLYOOM,
        BY_CGROUP,
        ENDED,
        PARENT,
    ),
    *(SHARED, INSIDE, OTHER_CONTAINER, USER, HOST, UNKNOWN),
)
BY_RUNTIME = (RUNTIME_STOP, RUNTIME_KILL, EVICTION, FAILED_PROBE)
# As the kernel has commands: 15 characters at most.
RUNTIMES = (
    *("runc", "crun", "youki", "runsc", "kata-runtime", "containerd", "containerd-shim", "dockerd"),
    *("docker-init", "conmon", "conmonrs", "crio", "podman", "buildkitd", "nerdctl", "lxc-start"),
    *("lxc-stop", "kubelet"),
)
BY_HAND = (
    *("sh", "bash", "dash", "zsh", "ash", "ksh", "fish", "busybox", "tcsh"),
    *("kill", "pkill", "killall", "timeout", "sudo", "top", "htop", "btop", "fuser"),
)


def cause_of(kill: Kill) -> str:
    """Return which of `CAUSES` it was."""
    killer = kill.killer
    if killer.how == NAMESPACE_END:
        return ENDED
    if killer.how == SHARED_MEMORY:
        return SHARED
    if killer.pid is None or killer.command is None:
        return UNKNOWN
    if is_inside(kill):
        return PARENT if killer.how == PARENT_END else INSIDE
    trusted = killer.container is None or bool(killer.is_above)
    if not trusted:
        return OTHER_CONTAINER
    command = killer.command
    if killer.container is None and (service := _memory_killer(killer)):
        return service
    if command in RUNTIMES or command.startswith("runc:["):
        if kill.pod_end == EVICTED:
            return EVICTION
        if kill.pod_end in (LIVENESS_FAILED, STARTUP_FAILED):
            return FAILED_PROBE
        return RUNTIME_KILL if kill.stop is None else RUNTIME_STOP
    if killer.container is None and command == "systemd" and killer.pid == 1:
        return SYSTEMD
    if killer.how == CGROUP_KILL:
        return BY_CGROUP
    if killer.how == PARENT_END:
        return PARENT
    return USER if command in BY_HAND else HOST


def is_inside(kill: Kill) -> bool:
    """Whether it was sent from within the container."""
    killer, target = kill.killer, kill.target
    its, killers = kill.container.id, killer.container.id if killer.container else None
    if killer.is_inside:  # of a pod whose containers share a PID namespace it may be another one
        return None in (its, killers) or its == killers
    if killer.is_above:  # a runtime in a container, and what it has started
        return False
    if target.cgroup_id is not None and target.cgroup_id == killer.cgroup_id:
        return its is not None
    return its is not None and its == killers


def _memory_killer(killer: Killer) -> str | None:
    """Tell the two user-space OOM killers by their units, which only the host's root can be in."""
    for cause, name in ((SYSTEMD_OOMD, "systemd-oomd"), (EARLYOOM, "earlyoom")):
        if killer.unit == f"{name}.service":
            return cause
        if killer.command == name and killer.uid == 0:
            return cause
    return None


def explain(kill: Kill) -> Kill:
    """Return it with cause and verdict."""
    killer = replace(kill.killer, cause=cause_of(kill))
    told = replace(kill, killer=killer)
    return replace(told, verdict=verdict(told))


def verdict(kill: Kill) -> str:
    """Return one sentence of what was killed, by whom and why."""
    words = _WORDS[kill.killer.cause or UNKNOWN](kill)
    if kill.killer.cause not in (RUNTIME_STOP, ENDED) and (asked := _asked(kill)):
        words += f"; {asked}"
    return f"{_what(kill)} {words}"


def _what(kill: Kill) -> str:
    target = kill.target
    name = _task(target)
    if kill.killer.how == CGROUP_KILL:
        return f"all of its cgroup, {name} first,"
    if kill.killer.how == NAMESPACE_END:
        return f"{name} and all others of its PID namespace"
    if target.is_init:
        return f"its PID 1, {name},"
    if target.pid_in_container is not None and target.pid_in_container != target.pid:
        return f"{name}, which is not its PID 1,"
    return name


def _runtime_stop(kill: Kill) -> str:
    stop = kill.stop
    signal = "a signal to stop" if stop is None or stop.signal is None else stop.signal
    when = "" if stop is None or stop.seconds_before is None else _ago(stop.seconds_before)
    return (
        f"was killed by its runtime ({_who(kill.killer)}): it had been sent {signal}{when} and had"
        f" not ended when its time to stop was over{_of_its_pod(kill)}"
    )


def _of_its_pod(kill: Kill) -> str:
    if kill.pod_end == DELETED:
        return "; its pod was being deleted"
    if kill.pod_end == STAYS:
        return (
            "; its pod was not being deleted: a liveness or startup probe failed, or somebody"
            " stopped this container alone"
        )
    return ""


def _eviction(kill: Kill) -> str:
    return (
        f"was killed by its runtime ({_who(kill.killer)}): its pod was evicted; the kernel's OOM"
        " killer did not run"
    )


def _failed_probe(kill: Kill) -> str:
    probe = "liveness" if kill.pod_end == LIVENESS_FAILED else "startup"
    late = "" if kill.stop is None else ", and it had not ended when its time to stop was over"
    return (
        f"was killed by its runtime ({_who(kill.killer)}): its {probe} probe had failed, so the"
        f" kubelet restarts it{late}"
    )


def _runtime_kill(kill: Kill) -> str:
    return (
        f"was killed by its runtime ({_who(kill.killer)}) without being asked to stop: a kill or a"
        f" removal by force, or a stop without grace{_of_its_pod(kill)}"
    )


def _systemd(kill: Kill) -> str:
    late = "" if kill.stop is None else " after its time to stop was over (TimeoutStopSec=)"
    return f"was killed by systemd{late}"


def _systemd_oomd(kill: Kill) -> str:
    return (
        f"was killed by {_who(kill.killer)}: swap was used up or memory pressure lasted, by its"
        " own rules; the kernel's OOM killer did not run"
    )


def _earlyoom(kill: Kill) -> str:
    return (
        f"was killed by {_who(kill.killer)}: the node was short of free memory; the kernel's OOM"
        " killer did not run"
    )


def _by_cgroup(kill: Kill) -> str:
    return f"was killed by {_who(kill.killer)}{_where(kill.killer)}, which wrote to cgroup.kill"


def _ended(kill: Kill) -> str:
    killer = kill.killer
    how = ""
    if killer.exit_signal is not None:
        how = f" by {killer.exit_signal}"
    elif killer.exit_code is not None:
        how = f" with exit code {killer.exit_code}"
    return f"were killed by the kernel, as its PID 1, {_who(killer)}, ended{how}"


def _parent(kill: Kill) -> str:
    return (
        f"was killed as {_who(kill.killer)} ended, which it had asked for by PR_SET_PDEATHSIG"
        " (or its parent for it)"
    )


def _shared(_: Kill) -> str:
    return "was killed by the kernel's OOM killer, as it shared the address space of its victim"


def _inside(kill: Kill) -> str:
    killer = kill.killer
    if killer.pid == kill.target.pid:
        return "killed itself"
    entered = ", which came in by exec" if killer.from_outside else ""
    return f"was killed from inside the container by {_who(killer)}{entered}"


def _other_container(kill: Kill) -> str:
    return f"was killed by {_who(kill.killer)} of another container{_named(kill.killer.container)}"


def _user(kill: Kill) -> str:
    killer = kill.killer
    user = "root" if killer.uid == 0 else f"user {killer.uid}"
    return f"was killed by hand or a script: {_who(killer)} of {user}{_where(killer)}"


def _host(kill: Kill) -> str:
    return f"was killed by {_who(kill.killer)}{_where(kill.killer)}"


def _unknown(_: Kill) -> str:
    return "was sent SIGKILL, nobody knows by whom"


_WORDS = {
    RUNTIME_STOP: _runtime_stop,
    RUNTIME_KILL: _runtime_kill,
    EVICTION: _eviction,
    FAILED_PROBE: _failed_probe,
    SYSTEMD: _systemd,
    SYSTEMD_OOMD: _systemd_oomd,
    EARLYOOM: _earlyoom,
    BY_CGROUP: _by_cgroup,
    ENDED: _ended,
    PARENT: _parent,
    SHARED: _shared,
    INSIDE: _inside,
    OTHER_CONTAINER: _other_container,
    USER: _user,
    HOST: _host,
    UNKNOWN: _unknown,
}


def _asked(kill: Kill) -> str | None:
    stop = kill.stop
    if stop is None or stop.signal is None or stop.seconds_before is None:
        return None
    by = f" by {stop.command} [{stop.pid}]" if stop.command and stop.pid else ""
    return f"it had been sent {stop.signal}{by}{_ago(stop.seconds_before)}"


def _ago(seconds: float) -> str:
    return f" {duration(seconds)} before"


def _task(of: Target | Killer) -> str:
    return f"{of.command or 'a process'} [{'?' if of.pid is None else of.pid}]"


def _who(killer: Killer) -> str:
    """Name it; its parent too, where that says more than the one that was asked to do it."""
    parent = killer.parent_command
    told = _task(killer)
    if parent and killer.command in (*BY_HAND, *RUNTIMES) and parent != killer.command:
        return f"{told}, started by {parent}"
    return told


def _where(killer: Killer) -> str:
    if killer.container is not None:
        return f" of container{_named(killer.container)}"
    return f" in {killer.unit}" if killer.unit else " on the host"


def _named(container: Container | None) -> str:
    name = None if container is None else container.name or container.id
    return f" {name}" if name else ""
