# SPDX-License-Identifier: Apache-2.0
"""The metric table: name, type, help and source of every metric we export.

Each row drives the registration (metrics.py), docs/metrics.md (document.py) and the golden test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..units import NS
from . import node_wide

if TYPE_CHECKING:
    from ..incident.model import Incident, Rss, Stat, Victim, Vm

PREFIX = "container_oomkill_"
LABELS = ("namespace", "pod", "container")
INFO_LABELS = (
    *("container_id", "image", "command", "scope", "trigger_command", "runtime"),
    *("workload", "container_name", "pod_name", "inferred", "incident", "shape"),
)
# What ran out: docs/record.md. The last is for an incident that does not say.
SCOPES = (*("container", "pod", "cgroup", "node", "cpuset", "mempolicy", "manual"), "unknown")
# Kubernetes' status against the kernel: see kubernetes/status.py.
MISMATCHES = ("kill_without_status", "status_without_kill")
# Why records may be lost on this side of the ring; the kernel's side has its own. They show from 0:
# one that began with a loss would have no increase().
LOST = (*("broken_record", "foreign_layout", "gap", "history", "kubernetes_event", "log"),)
COUNTER_LABELS = (*LABELS, "scope", "workload")
# One more than these comes after them: +Inf.
LATENCY_BUCKETS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

Number = float | None


class Destination(Protocol):
    """What became of the incidents for one destination."""

    @property
    def sent(self) -> int: ...

    @property
    def retries(self) -> int: ...

    @property
    def dropped(self) -> Mapping[str, int]: ...  # by reason


@dataclass(frozen=True, slots=True)
class Facts:
    """What the exporter knows of itself at a scrape."""

    version: str
    hook: str
    kernel: str
    attached: bool
    features: Mapping[str, bool]
    recorder: Mapping[str, int]  # struct oomkill_recorder; empty: there is none
    lost: Mapping[str, int]  # by reason
    unresolved: Mapping[str, int]  # by reason
    evicted: Mapping[str, int]  # by kind
    kernel_kills: int | None  # since the start; None: this kernel does not say
    unaccounted: int | None
    earlier: Mapping[tuple[str, str, str], int]  # kills from before the start, by LABELS
    missed_while_down: int | None  # kills that no process and no pinned hook saw
    external_url: str | None  # where people reach the pages
    queues: Mapping[str, tuple[int, int]]  # what waits, and the most that may
    killers: Mapping[str, int]  # struct oomkill_killers; empty: kills by others are not recorded
    other_kills: Mapping[str, int]  # by cause
    container_other_kills: Mapping[tuple[str, ...], int]  # by LABELS and cause
    mismatches: Mapping[str, int]  # by direction
    watch_up: bool | None  # of the cluster's API; None: it is not asked
    destinations: Mapping[str, Destination]  # by name, of those to which incidents are sent
    stuck_totals: Mapping[str, int]  # by cause; empty: nothing looks for it
    stuck: Mapping[tuple[str, str, str, str], int]  # that goes on, by LABELS and cause
    node_wide: Incident | None  # the last that the node's memory ran out for


# Label values and the number.
Points = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One metric. ``name`` without the prefix and without ``_total``."""

    name: str
    type: str  # counter, gauge, info, histogram
    help: str
    labels: tuple[str, ...] = ()
    of_last_kill: Callable[[Incident], Number] | None = None
    of_itself: Callable[[Facts], Points] | None = None
    unit: str = field(default="")

    @property
    def family(self) -> str:
        """The name without its type's suffix, as OpenMetrics has it."""
        return (PREFIX + self.name).rstrip("_")

    @property
    def sample(self) -> str:
        """The name a query asks for."""
        return self.family + {"counter": "_total", "info": "_info"}.get(self.type, "")


def scope_of(incident: Incident) -> str:
    """Return the value of the label ``scope`` of a counter."""
    return incident.scope if incident.scope in SCOPES else SCOPES[-1]


def _row(
    name: str, help_text: str, value: Callable[[Incident], Number], *, unit: str | None = None
) -> Row:
    """A gauge of the last kill; its unit is the end of its name."""
    if unit is None:
        unit = next((u for u in ("bytes", "seconds") if name.endswith("_" + u)), "")
    return Row(name, "gauge", help_text, LABELS, of_last_kill=value, unit=unit)


def _domain(name: str) -> Callable[[Incident], Number]:
    def value(incident: Incident) -> Number:
        domain = incident.domain
        return None if domain is None else getattr(domain, name)

    return value


def _stat(pick: Callable[[Stat], Number]) -> Callable[[Incident], Number]:
    def value(incident: Incident) -> Number:
        stat = None if incident.domain is None else incident.domain.stat
        return None if stat is None else pick(stat)

    return value


def _victim(pick: Callable[[Victim], Number]) -> Callable[[Incident], Number]:
    def value(incident: Incident) -> Number:
        return pick(incident.victims[0]) if incident.victims else None

    return value


def _rss(pick: Callable[[Rss], Number]) -> Callable[[Incident], Number]:
    return _victim(lambda victim: pick(victim.rss))


def _vm(pick: Callable[[Vm], Number]) -> Callable[[Incident], Number]:
    return _victim(lambda victim: pick(victim.vm))


def _start_boottime(incident: Incident) -> Number:
    uptime = incident.victims[0].uptime_seconds if incident.victims else None
    return None if uptime is None else incident.boot_ns / NS - uptime


# The empty name: container_oomkill_total.
KILLS = Row("", "counter", "Processes killed by the kernel's OOM killer.", COUNTER_LABELS)
INCIDENTS = Row(
    "incidents",
    "counter",
    "Decisions of the kernel's OOM killer; with memory.oom.group one may kill several processes.",
    COUNTER_LABELS,
)
KILLS_BY_SCOPE = Row(
    "kills",
    "counter",
    "Processes killed by the kernel's OOM killer, without names: from 0, for every scope.",
    ("scope",),
)
NAMESPACE_KILLS = Row(
    "namespace_kills",
    "counter",
    "Processes killed by the kernel's OOM killer, by namespace: from 0, for every scope.",
    ("namespace", "scope"),
)
LAST_INFO = Row("last", "info", "Facts of the last incident.", (*LABELS, *INFO_LABELS))

LAST_KILL = (
    _row(
        "last_timestamp_seconds",
        "Time of the last incident, in seconds since the epoch.",
        lambda i: i.time,
    ),
    # The cgroup whose limit was reached; none when the node itself ran out.
    _row(
        "memory_usage_bytes",
        "Memory charged to the cgroup whose limit was reached, at the last kill.",
        _domain("usage_bytes"),
    ),
    _row(
        "memory_limit_bytes",
        "The limit that was reached at the last kill; absent if the node ran out.",
        _domain("limit_bytes"),
    ),
    _row(
        "memory_anon_bytes",
        "Anonymous memory of the cgroup whose limit was reached, at the last kill.",
        _stat(lambda s: s.anon_bytes),
    ),
    _row(
        "memory_file_bytes",
        "Page cache, including shmem, of the cgroup whose limit was reached, at the last kill.",
        _stat(lambda s: s.file_bytes),
    ),
    _row(
        "memory_shmem_bytes",
        "Shared memory and tmpfs of the cgroup whose limit was reached, at the last kill.",
        _stat(lambda s: s.shmem_bytes),
    ),
    _row(
        "memory_kernel_bytes",
        "Kernel memory of the cgroup whose limit was reached, including the next three.",
        _stat(lambda s: s.kernel_bytes),
    ),
    _row(
        "memory_kernel_stack_bytes",
        "Kernel stacks of the cgroup whose limit was reached, at the last kill.",
        _stat(lambda s: s.kernel_stack_bytes),
    ),
    _row(
        "memory_pagetables_bytes",
        "Page tables of the cgroup whose limit was reached, at the last kill.",
        _stat(lambda s: s.pagetables_bytes),
    ),
    _row(
        "memory_slab_bytes",
        "Kernel objects (slab) of the cgroup whose limit was reached, at the last kill.",
        _stat(lambda s: s.slab_bytes()),
    ),
    _row(
        "memory_sock_bytes",
        "Socket buffers of the cgroup whose limit was reached, at the last kill.",
        _stat(lambda s: s.sock_bytes),
    ),
    _row(
        "swap_usage_bytes",
        "Swap charged to the cgroup whose limit was reached, at the last kill.",
        _domain("swap_usage_bytes"),
    ),
    _row(
        "swap_limit_bytes",
        "Swap limit of the cgroup whose limit was reached; absent if unlimited.",
        _domain("swap_limit_bytes"),
    ),
    _row(
        "swappiness",
        "Swappiness of the cgroup whose limit was reached.",
        _domain("swappiness"),
    ),
    # What led to it, by the flight recorder.
    _row(
        "growth_bytes_per_second",
        "How fast usage grew before the last kill: of a leak, spike, ramp or start-up.",
        lambda i: None if i.before is None else i.before.growth_bytes_per_second,
        unit="",
    ),
    _row(
        "at_limit_seconds",
        "How long usage had been at the limit when the process was killed.",
        lambda i: None if i.before is None else i.before.at_limit_seconds,
    ),
    _row(
        "oc_total_bytes",
        "Capacity of what ran out, the cgroup or the node, including swap.",
        lambda i: i.oom.total_bytes,
    ),
    _row(
        "oc_chosen_points",
        "Badness of the chosen process, in pages.",
        lambda i: i.oom.points,
    ),
    # The process that was chosen.
    _row(
        "rss_anon_bytes", "Anonymous resident memory (MM_ANONPAGES).", _rss(lambda r: r.anon_bytes)
    ),
    _row("rss_file_bytes", "Resident file mappings (MM_FILEPAGES).", _rss(lambda r: r.file_bytes)),
    _row(
        "rss_shmem_bytes",
        "Resident shared memory and tmpfs (MM_SHMEMPAGES).",
        _rss(lambda r: r.shmem_bytes),
    ),
    _row("swapents_bytes", "Swapped-out memory (MM_SWAPENTS).", _victim(lambda v: v.swap_bytes)),
    _row("pgtables_bytes", "Page tables.", _victim(lambda v: v.pagetables_bytes)),
    _row("hiwater_rss_bytes", "Peak resident memory.", _vm(lambda m: m.hiwater_rss_bytes)),
    _row("hiwater_vm_bytes", "Peak address space.", _vm(lambda m: m.hiwater_vm_bytes)),
    _row("task_size_bytes", "Size limit of the address space.", _vm(lambda m: m.task_size_bytes)),
    _row("total_vm_bytes", "Address space.", _vm(lambda m: m.total_bytes)),
    _row("locked_vm_bytes", "Address space locked in memory.", _vm(lambda m: m.locked_bytes)),
    _row("pinned_vm_bytes", "Pinned address space.", _vm(lambda m: m.pinned_bytes)),
    _row("data_vm_bytes", "Address space of private data.", _vm(lambda m: m.data_bytes)),
    _row("exec_vm_bytes", "Address space of code.", _vm(lambda m: m.exec_bytes)),
    _row("stack_vm_bytes", "Address space of stacks.", _vm(lambda m: m.stack_bytes)),
    _row("oom_score_adj", "oom_score_adj, -1000 to 1000.", _victim(lambda v: v.oom_score_adj)),
    _row("num_threads", "Threads.", _victim(lambda v: v.threads)),
    _row("min_flt", "Minor page faults, all threads.", _victim(lambda v: v.minor_faults)),
    _row("maj_flt", "Major page faults, all threads.", _victim(lambda v: v.major_faults)),
    _row(
        "flags", "Task flags as a number (PF_*, include/linux/sched.h).", _victim(lambda v: v.flags)
    ),
    _row("prio", "Scheduling priority (task_struct.prio).", _victim(lambda v: v.priority)),
    _row(
        "static_prio",
        "Static scheduling priority (task_struct.static_prio).",
        _victim(lambda v: v.static_priority),
    ),
    _row("utime_seconds", "CPU time in user mode, all threads.", _victim(lambda v: v.user_seconds)),
    _row(
        "stime_seconds", "CPU time in the kernel, all threads.", _victim(lambda v: v.system_seconds)
    ),
    _row("gtime_seconds", "CPU time as a guest, all threads.", _victim(lambda v: v.guest_seconds)),
    _row(
        "start_time_seconds",
        "Start time of the process, in seconds since the epoch.",
        _victim(lambda v: v.started_at),
    ),
    _row(
        "start_boottime_seconds",
        "Start time of the process, in seconds since boot.",
        _start_boottime,
    ),
    _row(
        "uptime_seconds",
        "How long the process had run when it was killed.",
        _victim(lambda v: v.uptime_seconds),
    ),
)


def _by_key(pick: Callable[[Facts], Mapping[str, float]]) -> Callable[[Facts], Points]:
    return lambda facts: [((key,), number) for key, number in sorted(pick(facts).items())]


def _single(pick: Callable[[Facts], Number]) -> Callable[[Facts], Points]:
    def points(facts: Facts) -> Points:
        number = pick(facts)
        return [] if number is None else [((), number)]

    return points


def _of_recorder(name: str, unit: int = 1) -> Callable[[Facts], Points]:
    """``unit``: how many of it are one of the metric's."""
    return lambda facts: [((), facts.recorder[name] / unit)] if name in facts.recorder else []


RECORDER = (
    Row(
        "recorder_walks",
        "counter",
        "Walks of the flight recorder through all memory cgroups, one a tick.",
        of_itself=_of_recorder("walks"),
    ),
    Row(
        "recorder_missed_ticks",
        "counter",
        "Ticks without a walk: the one before was not finished, or the machine slept.",
        of_itself=_of_recorder("missed_ticks"),
    ),
    Row(
        "recorder_cut_walks",
        "counter",
        "Walks that ended before all memory cgroups were seen.",
        of_itself=_of_recorder("cut_walks"),
    ),
    Row(
        "recorder_cgroups",
        "gauge",
        "Memory cgroups that the last walk saw.",
        of_itself=_of_recorder("cgroups"),
    ),
    Row(
        "recorder_recorded_cgroups",
        "gauge",
        "Of them, those that there was room to record (`--recorder.max-cgroups`).",
        of_itself=_of_recorder("recorded"),
    ),
    Row(
        "recorder_busy_seconds",
        "counter",
        "CPU time the flight recorder has taken, in the kernel; or the sampler, in its thread.",
        unit="seconds",
        of_itself=_of_recorder("busy_ns", NS),
    ),
    Row(
        "recorder_longest_go_seconds",
        "gauge",
        "The longest it has run without a pause.",
        unit="seconds",
        of_itself=_of_recorder("longest_ns", NS),
    ),
    Row(
        "recorder_memory_bytes",
        "gauge",
        "Kernel memory of the flight recorder's maps.",
        unit="bytes",
        of_itself=_of_recorder("memory_bytes"),
    ),
)

OTHERS = (
    Row(
        "other_kills",
        "counter",
        "Ends of containers, or of processes in them, by SIGKILL that the OOM killer did not send: "
        "from 0, for every cause.",
        ("cause",),
        of_itself=lambda facts: (
            [((cause,), number) for cause, number in facts.other_kills.items()]
            if facts.killers
            else []
        ),
    ),
    Row(
        "container_other_kills",
        "counter",
        "The same by container; a series begins with its first kill.",
        (*LABELS, "cause"),
        of_itself=lambda facts: sorted(facts.container_other_kills.items()),
    ),
    Row(
        "sigkills",
        "counter",
        "SIGKILL that took effect on this machine, in a container or not, whoever sent it.",
        of_itself=lambda facts: [((), facts.killers["kills"])] if facts.killers else [],
    ),
    Row(
        "other_kills_lost",
        "counter",
        "Kills by others without a record: above the rate limit of their cgroup, or no room in "
        "their ring buffer.",
        ("reason",),
        of_itself=lambda facts: [
            ((name.removeprefix("lost_"),), number)
            for name, number in sorted(facts.killers.items())
            if name.startswith("lost_")
        ],
    ),
)

LATENCY = Row(
    "latency_seconds",
    "histogram",
    "Time from the kernel's decision until the incident is on /metrics.",
    unit="seconds",
)

NODE_WIDE = (
    Row(
        "node_wide_last_timestamp_seconds",
        "gauge",
        "When the OOM killer last killed because no cgroup's limit, but the node, a cpuset's or a "
        "policy's memory nodes ran out.",
        of_itself=lambda facts: node_wide.when(facts.node_wide),
    ),
    Row(
        "node_wide_memory_bytes",
        "gauge",
        "The node's memory then, by kind: the keys of `node_memory` in the record.",
        ("kind",),
        of_itself=lambda facts: node_wide.kinds(facts.node_wide),
    ),
    Row(
        "node_wide_held_bytes",
        "gauge",
        "Who held it then: the five that were charged with the most, services of the host among "
        "them.",
        LABELS,
        of_itself=lambda facts: node_wide.holders(facts.node_wide),
    ),
)
ITSELF = (
    Row(
        "build",
        "info",
        "Version of container-oomkill.",
        ("version",),
        of_itself=lambda facts: [((facts.version,), 1)],
    ),
    Row(
        "probe",
        "info",
        "The hook in use and the kernel; absent while no hook is attached.",
        ("hook", "kernel"),
        of_itself=lambda facts: [((facts.hook, facts.kernel), 1)] if facts.attached else [],
    ),
    Row(
        "feature",
        "gauge",
        "1 if this hook and kernel provide it, 0 if not.",
        ("name",),
        of_itself=_by_key(lambda facts: facts.features),
    ),
    Row(
        "lost",
        "counter",
        "Records that could not be delivered.",
        ("reason",),
        of_itself=_by_key(lambda facts: facts.lost),
    ),
    Row(
        "unresolved",
        "counter",
        "Incidents whose container could not be named.",
        ("reason",),
        of_itself=_by_key(lambda facts: facts.unresolved),
    ),
    Row(
        "series_evicted",
        "counter",
        "Label sets dropped to keep their number bounded: the oldest of whoever has most.",
        ("kind",),
        of_itself=_by_key(lambda facts: facts.evicted),
    ),
    Row(
        "kernel_kills",
        "counter",
        "Kills by the kernel's own count (oom_kill in /proc/vmstat) since the start; with pinned "
        "hooks, since the last kill delivered before it.",
        of_itself=_single(lambda facts: facts.kernel_kills),
    ),
    Row(
        "unaccounted",
        "gauge",
        "Kills that the kernel counted and we did not see.",
        of_itself=_single(lambda facts: facts.unaccounted),
    ),
    Row(
        "earlier_kills",
        "gauge",
        "Kills before the start, by the cgroup's own count, of which there is no incident here.",
        LABELS,
        of_itself=lambda facts: sorted(facts.earlier.items()),
    ),
    Row(
        "missed_while_down",
        "gauge",
        "Kills that the kernel counted before this start while no exporter ran and no pinned hook "
        "recorded; absent if unknown (it takes `--history` or `--pin`).",
        of_itself=_single(lambda facts: facts.missed_while_down),
    ),
    Row(
        "page",
        "info",
        "Where people reach the web pages (`--web.external-url`); absent if that is not set.",
        ("url",),
        of_itself=lambda facts: [((facts.external_url,), 1)] if facts.external_url else [],
    ),
    Row(
        "queue_length",
        "gauge",
        "What is waiting in a queue: bytes in the ring buffer, incidents for the log, the history, "
        "OTLP and webhooks, containers for Kubernetes Events.",
        ("queue",),
        of_itself=lambda facts: [((name,), now) for name, (now, _) in sorted(facts.queues.items())],
    ),
    Row(
        "queue_limit",
        "gauge",
        "Capacity of a queue (`--ring-bytes`, `--log.queue-size`, `--otlp.queue-size` or "
        "`--history.max-incidents`; Events: 256 containers).",
        ("queue",),
        of_itself=lambda facts: [
            ((name,), most) for name, (_, most) in sorted(facts.queues.items())
        ],
    ),
    Row(
        "sent_incidents",
        "counter",
        "Incidents that a receiver has taken, by destination: `otlp`, a webhook's name.",
        ("destination",),
        of_itself=lambda facts: [
            ((name,), each.sent) for name, each in sorted(facts.destinations.items())
        ],
    ),
    Row(
        "send_retries",
        "counter",
        "Requests to a destination that failed and are repeated.",
        ("destination",),
        of_itself=lambda facts: [
            ((name,), each.retries) for name, each in sorted(facts.destinations.items())
        ],
    ),
    Row(
        "unsent_incidents",
        "counter",
        "Incidents that were dropped instead of sent; also in `container_oomkill_lost_total`.",
        ("destination", "reason"),
        of_itself=lambda facts: [
            ((name, reason), number)
            for name, each in sorted(facts.destinations.items())
            for reason, number in sorted(each.dropped.items())
        ],
    ),
    Row(
        "kubernetes_watch_up",
        "gauge",
        "1 while the watch of this node's pods works; absent without `--kubernetes`.",
        of_itself=_single(lambda facts: facts.watch_up),
    ),
    Row(
        "status_mismatch",
        "counter",
        "Containers whose status in Kubernetes says OOMKilled without a kill by the kernel, or "
        "something else where the OOM killer killed their PID 1; absent without `--kubernetes`.",
        ("direction",),
        of_itself=lambda facts: (
            [] if facts.watch_up is None else _by_key(lambda f: f.mismatches)(facts)
        ),
    ),
    Row(
        "page_size_bytes",
        "gauge",
        "Size of a memory page on this node.",
        unit="bytes",
        of_itself=lambda _: [((), os.sysconf("SC_PAGE_SIZE"))],
    ),
)

STUCK = (
    Row(
        "stuck",
        "counter",
        "Times that a cgroup was out of memory, or over memory.high, and nothing was killed.",
        ("cause",),
        of_itself=_by_key(lambda facts: facts.stuck_totals),
    ),
    Row(
        "stuck_now",
        "gauge",
        "Containers that are so at this moment; absent if they are not.",
        (*LABELS, "cause"),
        of_itself=lambda facts: sorted(facts.stuck.items()),
    ),
)

# In the order they are served and documented.
SECTIONS: tuple[tuple[str, str, tuple[Row, ...]], ...] = (
    (
        "Counters",
        (
            "A known container shows them at 0 before its first kill. They have no container id, "
            "so they survive its restart. `workload`: Kubernetes' (`Deployment/cart`, with "
            "`--kubernetes`), else the service of Swarm or Compose, Slurm's user, the unit. What "
            "starts under a new name each time is counted under a lasting one: `container` is the "
            "service's, `pod` a Job's; its own names are in `container_oomkill_last_info`. A kill "
            "of a container that was not known before begins a series: that one increase() does "
            "not see. Sums come from the next two."
        ),
        (KILLS, INCIDENTS),
    ),
    (
        "Sums",
        (
            "Without a container's name, so nothing they count begins a series: the first kill of "
            "a container that nobody knew is in increase(), too. A namespace is shown from its "
            'first known container on, until a day after the last one or its last kill; `""` is '
            "what is in no namespace."
        ),
        (KILLS_BY_SCOPE, NAMESPACE_KILLS),
    ),
    (
        "The last kill",
        (
            "Numbers of the last incident and of `victims[0]`, the process the kernel chose. An "
            "unknown number, or a limit that is not set, has no sample. They expire an hour "
            "after the kill (`--metrics.expiry`)."
        ),
        (LAST_INFO, *LAST_KILL),
    ),
    (
        "Out of memory without a kill",
        (
            "`cause`: `nothing_killable`, `oom_disabled`, `charge_refused`, `throttled` "
            "(docs/record.md), `unknown`. It takes the flight recorder, which looks for them."
        ),
        STUCK,
    ),
    (
        "The last kill that no cgroup's limit caused",
        "Absent until there is one, and an hour after it (`--metrics.expiry`).",
        NODE_WIDE,
    ),
    ("The exporter itself", "", (*ITSELF, LATENCY)),
    (
        "Kills by others",
        (
            "SIGKILL that the OOM killer did not send; `cause` as in [the record]"
            "(record.md#a-kill-by-others). Absent with `--killers off`, and where "
            '`container_oomkill_feature{name="killers"}` is 0.'
        ),
        OTHERS,
    ),
    (
        "The flight recorder",
        'Absent where there is none: `container_oomkill_feature{name="flight_recorder"}` is 0.',
        RECORDER,
    ),
)
ROWS = tuple(row for _, _, rows in SECTIONS for row in rows)
