# SPDX-License-Identifier: Apache-2.0
"""What to type to look further: commands of the container's runtime, ready to paste into a shell.

Anyone may have chosen a name. A command has only names its runtime allows, none of which is an
option or has a character that a shell or a reader could take for another; what else there may be is
in quotes. Without such a name there is the id, or no command.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...identity.resolver import parse
from ...sinks.names import short_id

if TYPE_CHECKING:
    from ...incident.model import Container, Incident

# Kubernetes: DNS-1123 subdomains; Docker, Podman, containerd: an identifier; systemd: VALID_CHARS.
DNS = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}", re.ASCII)
UNIT = re.compile(r"[A-Za-z0-9_:.@\\][A-Za-z0-9_:.@\\-]{0,254}", re.ASCII)
KINDS = re.compile(r"[A-Za-z]{1,40}", re.ASCII)
NODE_SCOPES = ("node", "cpuset", "mempolicy")
AROUND_SECONDS = 15
LINES = "50"  # of a log


@dataclass(frozen=True, slots=True)
class Command:
    """``words`` with blanks between them are a line for a POSIX shell; ``shows``: what it does."""

    words: tuple[str, ...]
    shows: str


def commands(incident: Incident) -> list[Command]:
    """Return what fits the incident, the most telling first."""
    return [Command(tuple(map(shlex.quote, words)), shows) for words, shows in _commands(incident)]


Words = tuple[list[str], str]


def _commands(incident: Incident) -> Iterator[Words]:
    container = incident.container
    if container.pod is not None:
        yield from _kubernetes(incident, container)
    elif container.runtime in ("docker", "podman", "containerd", "crio"):
        yield from _engine(incident, container)
    else:
        yield from _other(incident, container)
    yield from _kernel_log(incident)


def _kubernetes(incident: Incident, container: Container) -> Iterator[Words]:
    pod, namespace = _fits(DNS, container.pod), _fits(DNS, container.namespace)
    if pod and namespace:
        kubectl = ["kubectl", "-n", namespace]
        yield [*kubectl, "describe", "pod", pod], "limits, last state, restarts, events"
        if name := _fits(DNS, container.name):
            logs = [*kubectl, "logs", pod, "-c", name, "--tail", LINES]
            if _ended(incident):
                yield [*logs, "--previous"], "what it logged before it died"
            else:
                yield logs, "what it logs"
        yield [*kubectl, "top", "pod", pod, "--containers"], "what its containers use now"
        kind, _, workload = (container.workload or "").partition("/")
        if _fits(KINDS, kind) and _fits(DNS, workload):
            yield (
                [*kubectl, "get", kind.lower(), workload, "-o", "yaml"],
                "where the limits are set",
            )
    if incident.scope in NODE_SCOPES and (node := _fits(DNS, incident.node)):
        yield ["kubectl", "describe", "node", node], "what else runs on the node, and its requests"
    if container.runtime in ("containerd", "crio") and (id_ := _id(container)):
        yield ["crictl", "inspect", id_], "the same without kubectl, on the node"


def _engine(incident: Incident, container: Container) -> Iterator[Words]:
    id_ = _id(container)
    if container.runtime == "crio" or container.pod_uid is not None:
        if id_:
            yield ["crictl", "inspect", id_], "limits, state, pod; on the node"
            yield ["crictl", "logs", "--tail", LINES, id_], "what it logged; on the node"
        return
    name = _fits(IDENTIFIER, container.name) or id_
    if name is None:
        return
    program = "nerdctl" if container.runtime == "containerd" else str(container.runtime)
    user = _user(incident)
    on = "on the node" if user is None else f"on the node, as user {user}"
    yield [program, "inspect", name], f"limits, state, restarts; {on}"
    yield [program, "logs", "--tail", LINES, name], f"what it logged; {on}"
    if program != "nerdctl":
        yield [program, "stats", "--no-stream", name], f"what it uses now; {on}"


def _other(incident: Incident, container: Container) -> Iterator[Words]:
    runtime, cgroup = container.runtime, incident.victims[0].cgroup
    name = _fits(IDENTIFIER, container.name)
    if runtime == "systemd" and cgroup is not None:
        unit = _fits(UNIT, (parse(cgroup).unit or "").removeprefix("_"))
        user = _user(incident)
        systemctl = ["systemctl"] if user is None else ["systemctl", "--user"]
        on = "on the node" if user is None else f"on the node, as user {user}"
        if unit:
            yield [*systemctl, "status", unit], f"its state and its processes; {on}"
            journal = ["journalctl", "-u" if user is None else "--user-unit", unit, "-n", LINES]
            yield journal, f"what it logged; {on}"
    elif runtime == "slurm":
        if job := re.match(r"job_(\d{1,20})(/|$)", container.name or "", re.ASCII):
            yield ["scontrol", "show", "job", job[1]], "what the job asked for"
            yield ["sacct", "-j", job[1], "-o", "JobID,State,ReqMem,MaxRSS"], "what its steps used"
    elif runtime == "nspawn" and name:
        yield ["machinectl", "status", name], "its state and its processes; on the node"
    elif runtime == "lxc" and name:
        if project := _fits(IDENTIFIER, container.namespace):
            yield ["incus", "info", "--project", project, name], "its state; on the node"
        elif container.namespace is None:
            yield ["lxc-info", "-n", name], "its state; on the node"
    elif runtime == "nomad" and (allocation := _fits(IDENTIFIER, container.id)):
        yield ["nomad", "alloc", "status", allocation.partition(".")[0]], "its tasks and events"
    elif runtime == "qemu" and name:
        yield ["virsh", "dominfo", name], "its state and memory; on the node"


def _kernel_log(incident: Incident) -> Iterator[Words]:
    """With the time zone: the node may be anywhere."""
    first, last = (
        datetime.fromtimestamp(incident.time + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        for seconds in (-AROUND_SECONDS, AROUND_SECONDS)
    )
    words = ["journalctl", "-k", "--since", first, "--until", last]
    yield words, "the kernel's own report; on the node"


def _fits(form: re.Pattern[str], text: str | None) -> str | None:
    return text if text is not None and form.fullmatch(text) else None


def _id(container: Container) -> str | None:
    """As short as the runtimes' own lists have it."""
    return _fits(IDENTIFIER, short_id(container.id))


def _ended(incident: Incident) -> bool:
    """Whether the container ended with it, as far as that is known."""
    return bool(incident.oom.group) or incident.victims[0].pid_in_container in (None, 1)


def _user(incident: Incident) -> str | None:
    """Whose it is, below a user's own service manager."""
    found = re.match(r"/user\.slice/user-(\d{1,10})\.slice/user@", incident.victims[0].cgroup or "")
    return found[1] if found else None
