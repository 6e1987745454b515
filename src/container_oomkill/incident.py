# SPDX-License-Identifier: Apache-2.0
"""Takes a victim record's raw numbers, gives an `Incident`: frozen, in base units, without I/O.

The attribute names are the JSON keys (docs/record.md). ``None`` is unknown, never 0; of a limit
it also means that there is none. Later stages fill in `Incident.container` (identity),
`Incident.scope` and `Incident.verdict` (diagnosis).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from . import wire
from .errors import RecordError
from .wire import HOOKS, lib

SCHEMA = 1
NS = 1_000_000_000
# enum oom_constraint, include/linux/oom.h
CONSTRAINTS = {0: "none", 1: "cpuset", 2: "memory_policy", 3: "memcg"}
# The usual reasons of `Container.unresolved`; a state file that cannot be read has others.
NOT_FOUND = "not_found"  # the runtimes' state does not have it
NO_STATE = "no_state"  # there is no runtime's state here, or its runtime keeps none that is read
NO_NAME = "no_name"  # it is known, and was given no name
PATH_CUT = "path_cut"  # its cgroup's path is too long to tell whose it is
UNRESOLVED = (NO_NAME, NO_STATE, NOT_FOUND, PATH_CUT)


@dataclass(frozen=True, slots=True)
class Host:
    """What a record does not say of itself: where, and in what units."""

    node: str
    kernel: str
    page_size: int  # bytes
    clock_offset_ns: int  # CLOCK_REALTIME less CLOCK_BOOTTIME
    swappiness: int | None = None  # the node's, which is every cgroup v2's


@dataclass(frozen=True, slots=True)
class Container:
    """Whose memory it was, as far as it is known."""

    id: str | None = None  # as the runtime gave it, full
    name: str | None = None
    runtime: str | None = None
    image: str | None = None
    pod: str | None = None
    namespace: str | None = None
    pod_uid: str | None = None
    workload: str | None = None
    unresolved: str | None = None  # why there is an id and no name


@dataclass(frozen=True, slots=True)
class Stat:
    """Where a cgroup's memory was: its memory.stat, the cgroups below it included."""

    anon_bytes: int | None = None
    file_bytes: int | None = None  # page cache, shmem included
    shmem_bytes: int | None = None
    kernel_stack_bytes: int | None = None
    pagetables_bytes: int | None = None
    slab_reclaimable_bytes: int | None = None
    slab_unreclaimable_bytes: int | None = None
    sock_bytes: int | None = None
    kernel_bytes: int | None = None  # stacks, page tables and slab included, sock not
    approximate: bool | None = None  # CPUs or cgroups below may hold more that was not added up

    def cache_bytes(self) -> int | None:
        """Return page cache without shmem, as a process's ``rss.file_bytes`` has it."""
        if self.file_bytes is None or self.shmem_bytes is None:
            return None
        return max(0, self.file_bytes - self.shmem_bytes)

    def slab_bytes(self) -> int | None:
        """Return all of slab, reclaimable or not."""
        if self.slab_reclaimable_bytes is None or self.slab_unreclaimable_bytes is None:
            return None
        return self.slab_reclaimable_bytes + self.slab_unreclaimable_bytes


@dataclass(frozen=True, slots=True)
class Domain:
    """The cgroup whose limit was reached, at the instant of the kill."""

    cgroup: str | None = None
    cgroup_id: int | None = None
    usage_bytes: int | None = None
    limit_bytes: int | None = None
    low_bytes: int | None = None
    peak_bytes: int | None = None
    swap_usage_bytes: int | None = None
    swap_limit_bytes: int | None = None
    swappiness: int | None = None
    stat: Stat | None = None


@dataclass(frozen=True, slots=True)
class Oom:
    """The kernel's struct oom_control: what was asked for, what was chosen."""

    constraint: str | None = None
    order: int | None = None  # of the allocation, log2 of pages; -1: asked for by sysrq
    gfp_mask: int | None = None
    total_bytes: int | None = None  # capacity of the domain, swap included
    points: int | None = None  # badness of the chosen task, pages
    group: bool | None = None  # memory.oom.group applied


@dataclass(frozen=True, slots=True)
class Trigger:
    """The task whose allocation failed."""

    pid: int | None = None
    tid: int | None = None
    command: str | None = None
    cgroup: str | None = None
    container_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rss:
    """Resident memory by kind."""

    anon_bytes: int | None = None
    file_bytes: int | None = None
    shmem_bytes: int | None = None

    def total_bytes(self) -> int | None:
        """Return their sum, as the kernel's get_mm_rss() has it."""
        if self.anon_bytes is None or self.file_bytes is None or self.shmem_bytes is None:
            return None
        return self.anon_bytes + self.file_bytes + self.shmem_bytes


@dataclass(frozen=True, slots=True)
class Vm:
    """Address space, reserved rather than used."""

    total_bytes: int | None = None
    data_bytes: int | None = None
    exec_bytes: int | None = None
    stack_bytes: int | None = None
    locked_bytes: int | None = None
    pinned_bytes: int | None = None
    hiwater_rss_bytes: int | None = None
    hiwater_vm_bytes: int | None = None
    task_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Victim:
    """A process the OOM killer sent SIGKILL."""

    pid: int | None = None
    tid: int | None = None  # the thread that was marked
    pid_in_container: int | None = None
    ppid: int | None = None
    command: str | None = None
    parent_command: str | None = None
    cmdline: str | None = None
    uid: int | None = None
    cgroup: str | None = None
    cgroup_id: int | None = None
    usage_bytes: int | None = None  # of that cgroup
    limit_bytes: int | None = None  # of that cgroup
    stat: Stat | None = None  # of that cgroup, where it is not the domain
    oom_score_adj: int | None = None
    points: int | None = None
    rss: Rss = Rss()
    swap_bytes: int | None = None
    pagetables_bytes: int | None = None
    vm: Vm = Vm()
    threads: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    flags: int | None = None  # PF_*, include/linux/sched.h
    priority: int | None = None
    static_priority: int | None = None
    user_seconds: float | None = None
    system_seconds: float | None = None
    guest_seconds: float | None = None
    started_at: float | None = None  # seconds since the epoch
    uptime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A process the kernel looked at and did not choose."""

    pid: int | None = None
    command: str | None = None
    rss_bytes: int | None = None
    oom_score_adj: int | None = None
    points: int | None = None  # badness, pages


@dataclass(frozen=True, slots=True)
class Incident:
    """One decision of the OOM killer and all it killed; ``victims[0]`` is the one it chose."""

    time: float  # seconds since the epoch, from the kernel's clock
    boot_ns: int
    sequence: int
    node: str
    kernel: str
    hook: str
    scope: str | None
    inferred: bool  # domain and scope were found by usage, not told by the kernel
    message: str | None
    verdict: str | None
    container: Container
    domain: Domain | None  # None: the node's memory ran out, or unknown
    oom: Oom
    trigger: Trigger
    victims: tuple[Victim, ...]
    candidates: tuple[Candidate, ...] | None = None  # the largest others, largest first

    @property
    def id(self) -> str:
        """Its permanent name: when it was, since boot, and its number: ``1dcd6500-3``.

        From what no later stage, no restart and no setting of the clock changes. Two boots of one
        node would have to kill at the same nanosecond after their start to share one.
        """
        return f"{self.boot_ns:x}-{self.sequence}"

    def changed(self, **fields: Any) -> Incident:
        """Return a copy with other fields; dataclasses.replace, but for every kill's way."""
        values = {name: getattr(self, name) for name in _INCIDENT_FIELDS}
        return Incident(**(values | fields))


_INCIDENT_FIELDS = tuple(field.name for field in fields(Incident))


class Decoder:
    """Turns victim records of one host into incidents with one victim each."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._unlimited = ((1 << 63) - 1) // host.page_size  # PAGE_COUNTER_MAX

    def decode(self, raw: dict[str, Any]) -> Incident:
        """``raw``: from `wire.victim`. Raises `RecordError` for text that is not in the record."""
        host = self.host
        flags = raw["flags"]
        boot_ns = raw["header.boot_ns"]
        return Incident(
            time=(boot_ns + host.clock_offset_ns) / NS,
            boot_ns=boot_ns,
            sequence=raw["header.incident"],
            node=host.node,
            kernel=host.kernel,
            hook=HOOKS.get(raw["header.hook"], "unknown"),
            scope=None,
            inferred=bool(flags & lib.OOMKILL_INFERRED),
            message=_text(raw["message"]) or None,
            verdict=None,
            container=Container(),
            domain=self._domain(raw),
            oom=Oom(
                constraint=CONSTRAINTS.get(raw["constraint"]),
                order=raw["order"],
                gfp_mask=raw["gfp_mask"],
                total_bytes=self._bytes(raw["total_pages"]),
                points=raw["points"],
                group=bool(flags & lib.OOMKILL_GROUP),
            ),
            trigger=Trigger(
                pid=raw["trigger.pid"],
                tid=raw["trigger.tid"],
                command=_text(raw["trigger.comm"]) or None,
                cgroup=_path(raw, "trigger_memcg"),
            ),
            victims=(self._victim(raw),),
            candidates=self._candidates(raw),
        )

    def _bytes(self, pages: int | None) -> int | None:
        return None if pages is None else _possible(pages * self.host.page_size)

    def _limit(self, pages: int | None) -> int | None:
        if pages is None or pages >= self._unlimited:
            return None
        return pages * self.host.page_size

    def _domain(self, raw: dict[str, Any]) -> Domain | None:
        path = _path(raw, "domain")
        if path is None:
            return None
        usage, limit = raw["domain.usage_pages"], raw["domain.limit_pages"]
        swap_usage, swap_limit = raw["domain.swap_usage_pages"], raw["domain.swap_limit_pages"]
        low, swappiness = raw["domain.low_pages"], self.host.swappiness
        if (raw["domain.flags"] or 0) & lib.OOMKILL_MEMCG_V1:
            # memory.memsw.*: memory and swap in one counter
            swap_usage = _less(swap_usage, usage)
            if self._limit(swap_limit) is not None:
                swap_limit = _less(swap_limit, limit)
            low, swappiness = None, raw["domain.swappiness"]
        return Domain(
            cgroup=path,
            cgroup_id=raw["domain.id"],
            usage_bytes=self._bytes(usage),
            limit_bytes=self._limit(limit),
            low_bytes=self._bytes(low),
            peak_bytes=self._bytes(raw["domain.peak_pages"]),
            swap_usage_bytes=self._bytes(swap_usage),
            swap_limit_bytes=self._limit(swap_limit),
            swappiness=swappiness,
            stat=self._stat(raw, "domain_stat."),
        )

    def _stat(self, raw: dict[str, Any], of: str) -> Stat | None:
        in_bytes, stack = self._bytes, raw[of + "kernel_stack_kib"]
        if raw[of + "anon_pages"] is None:
            return None
        return Stat(
            anon_bytes=in_bytes(raw[of + "anon_pages"]),
            file_bytes=in_bytes(raw[of + "file_pages"]),
            shmem_bytes=in_bytes(raw[of + "shmem_pages"]),
            kernel_stack_bytes=None if stack is None else _possible(stack << 10),
            pagetables_bytes=in_bytes(raw[of + "pagetables_pages"]),
            slab_reclaimable_bytes=raw[of + "slab_reclaimable_bytes"],
            slab_unreclaimable_bytes=raw[of + "slab_unreclaimable_bytes"],
            sock_bytes=in_bytes(raw[of + "sock_pages"]),
            kernel_bytes=in_bytes(raw[of + "kernel_pages"]),
            approximate=bool((raw[of + "flags"] or 0) & lib.OOMKILL_STAT_APPROXIMATE),
        )

    def _candidates(self, raw: dict[str, Any]) -> tuple[Candidate, ...] | None:
        """All but the victim; `join` takes out a group's further ones."""
        count = raw["candidates_used"]
        if count is None:
            return None
        looked_at = wire.candidates(raw["candidates"], min(count, lib.OOMKILL_CANDIDATES))
        looked_at.sort(key=lambda candidate: candidate["size_pages"] or 0, reverse=True)
        return tuple(
            Candidate(
                pid=candidate["pid"],
                command=_text(candidate["comm"]) or None,
                rss_bytes=self._bytes(candidate["rss_pages"]),
                oom_score_adj=candidate["oom_score_adj"],
                points=candidate["points"],
            )
            for candidate in looked_at
            if candidate["pid"] != raw["process.pid"]
        )

    def _victim(self, raw: dict[str, Any]) -> Victim:
        in_bytes = self._bytes
        started_ns = raw["process.start_boottime_ns"]
        rss = Rss(
            anon_bytes=in_bytes(raw["process.anon_pages"]),
            file_bytes=in_bytes(raw["process.file_pages"]),
            shmem_bytes=in_bytes(raw["process.shmem_pages"]),
        )
        # Summed over threads; with some left out it is no number at all.
        whole = not raw["flags"] & lib.OOMKILL_THREADS_CUT
        return Victim(
            pid=raw["process.pid"],
            tid=raw["process.tid"],
            pid_in_container=raw["process.pid_in_ns"],
            ppid=raw["process.ppid"],
            command=_text(raw["process.comm"]) or None,
            parent_command=_text(raw["process.parent_comm"]) or None,
            cmdline=_cmdline(raw),
            uid=raw["process.uid"],
            cgroup=_path(raw, "victim_memcg"),
            cgroup_id=raw["victim_memcg.id"],
            usage_bytes=in_bytes(raw["victim_memcg.usage_pages"]),
            limit_bytes=self._limit(raw["victim_memcg.limit_pages"]),
            stat=self._stat(raw, "victim_stat."),
            oom_score_adj=raw["process.oom_score_adj"],
            points=raw["points"],
            rss=rss,
            swap_bytes=in_bytes(raw["process.swap_pages"]),
            pagetables_bytes=raw["process.pgtables_bytes"],
            vm=Vm(
                total_bytes=in_bytes(raw["process.total_vm_pages"]),
                data_bytes=in_bytes(raw["process.data_vm_pages"]),
                exec_bytes=in_bytes(raw["process.exec_vm_pages"]),
                stack_bytes=in_bytes(raw["process.stack_vm_pages"]),
                locked_bytes=in_bytes(raw["process.locked_vm_pages"]),
                pinned_bytes=in_bytes(raw["process.pinned_vm_pages"]),
                hiwater_rss_bytes=_larger(
                    in_bytes(raw["process.hiwater_rss_pages"]), rss.total_bytes()
                ),
                hiwater_vm_bytes=_larger(
                    in_bytes(raw["process.hiwater_vm_pages"]),
                    in_bytes(raw["process.total_vm_pages"]),
                ),
                task_size_bytes=raw["process.task_size_bytes"],
            ),
            threads=raw["process.threads"],
            minor_faults=raw["process.min_flt"] if whole else None,
            major_faults=raw["process.maj_flt"] if whole else None,
            flags=raw["process.task_flags"],
            priority=raw["process.prio"],
            static_priority=raw["process.static_prio"],
            user_seconds=_seconds(raw["process.utime_ns"]) if whole else None,
            system_seconds=_seconds(raw["process.stime_ns"]) if whole else None,
            guest_seconds=_seconds(raw["process.gtime_ns"]) if whole else None,
            started_at=(
                None if started_ns is None else (started_ns + self.host.clock_offset_ns) / NS
            ),
            uptime_seconds=(
                None if started_ns is None else (raw["header.boot_ns"] - started_ns) / NS
            ),
        )


def join(first: Incident, more: Incident) -> Incident:
    """Add a further victim of the same incident; the kernel gave it no points of its own."""
    further = tuple(replace(victim, points=None) for victim in more.victims)
    candidates = first.candidates
    if candidates is not None:
        killed = {victim.pid for victim in further}
        candidates = tuple(other for other in candidates if other.pid not in killed)
    return first.changed(victims=first.victims + further, candidates=candidates)


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / NS


def _possible(bytes_: int) -> int | None:
    """Nothing has more bytes than 64 bits can count: then the number is a wrong one."""
    return bytes_ if bytes_ < 1 << 64 else None


def _less(both: int | None, one: int | None) -> int | None:
    """Of cgroup v1's counter of memory and swap, what is swap; the two are read one by one."""
    return None if both is None or one is None else max(0, both - one)


def _larger(hiwater: int | None, now: int | None) -> int | None:
    """Both peaks are brought up to date late: get_mm_hiwater_rss() and _vm() take the larger."""
    return None if hiwater is None or now is None else max(hiwater, now)


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _cmdline(raw: dict[str, Any]) -> str | None:
    data = _within(raw, "cmdline_offset", "cmdline_size")
    return cmdline_text(data, cut=bool(raw["flags"] & lib.OOMKILL_CMDLINE_CUT))


def cmdline_text(data: bytes, *, cut: bool) -> str | None:
    """Return a command line as one would type it; ``data``: arguments, each ended by a NUL."""
    if not data.strip(b"\0"):
        return None
    from shlex import join as quoted  # few ask for command lines

    words = data.removesuffix(b"\0").decode("utf-8", "backslashreplace").split("\0")
    return quoted(words) + ("…" if cut else "")


def _within(raw: dict[str, Any], offset: str, size: str) -> bytes:
    strings: bytes = raw["strings"]
    start, length = raw[offset], raw[size]
    if length and start + length > len(strings):
        where = f"{offset} {start}, {size} {length}"
        raise RecordError(f"victim record: {where} in {len(strings)} bytes of text")
    return strings[start : start + length]


def _path(raw: dict[str, Any], memcg: str) -> str | None:
    """The record has a path's names from the leaf up, each ended by a NUL."""
    if raw[memcg + ".id"] is None:
        return None
    *names, rest = _within(raw, memcg + ".path_offset", memcg + ".path_size").split(b"\0")
    if rest:
        raise RecordError(f"victim record: {memcg}'s path has no end")
    path = b"/".join(reversed(names)).decode("utf-8", "backslashreplace")
    if (raw[memcg + ".flags"] or 0) & lib.OOMKILL_MEMCG_PATH_CUT:
        return "…/" + path
    return "/" + path
