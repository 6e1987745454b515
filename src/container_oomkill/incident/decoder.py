# SPDX-License-Identifier: Apache-2.0
"""Bytes of the ring to incidents: units fixed, unknown is None."""

from __future__ import annotations

from typing import Any

from ..errors import RecordError
from ..units import NS
from . import wire
from .before import Before
from .before_decoder import decode_before
from .cmdline import cmdline_text
from .model import (
    CONSTRAINTS,
    Candidate,
    Child,
    Container,
    Domain,
    Host,
    Incident,
    Oom,
    Rss,
    Stat,
    Trigger,
    Victim,
    Vm,
)
from .node_decoder import decode_node
from .node_memory import NodeMemory
from .path import path_text
from .shortage_decoder import decode_shortage
from .stack import Stack
from .stack_decoder import Symbols, decode_stack, decode_stack_names, decode_user_stack
from .wire import HOOKS, lib

SYSRQ_ORDER = -1


class Decoder:
    """Turns victim records of one host into incidents with one victim each."""

    def __init__(self, host: Host, symbols: Symbols = lambda _: None) -> None:
        """``symbols``: names the kernel's functions at these addresses; None: they are unknown."""
        self.host = host
        self._symbols = symbols
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
            # Of a cgroup that may have been the cause, and may not, nothing was inferred; sysrq
            # is known by its function, not by any usage.
            inferred=bool(flags & lib.OOMKILL_INFERRED)
            and not flags & lib.OOMKILL_UNTOLD
            and raw["order"] != SYSRQ_ORDER,
            message=text(raw["message"]) or None,
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
                command=text(raw["trigger.comm"]) or None,
                cgroup=_path(raw, "trigger_memcg"),
            ),
            victims=(self.victim(raw),),
            candidates=self._candidates(raw),
        )

    def ahead(self, kind: int, data: bytes, known: Before) -> Before:
        """Return what came before a kill, with one more record of a kind in `wire.AHEAD`.

        Raises `RecordError` for one of another size.
        """
        if kind == lib.OOMKILL_SHORTAGE:
            return decode_shortage(wire.shortage(data), self.host.page_size, known)
        return decode_before(wire.before(data), self.host.page_size, known)

    def stack(self, raw: dict[str, Any]) -> Stack | None:
        """``raw``: from `wire.stack`."""
        return decode_stack(raw, self._symbols)

    def stack_names(self, raw: list[bytes]) -> Stack:
        """``raw``: from `wire.stack_names`."""
        return decode_stack_names(raw)

    def user_stack(self, raw: list[dict[str, Any]]) -> Stack | None:
        """``raw``: from `wire.user_stack`."""
        return decode_user_stack(raw)

    def node(self, raw: dict[str, Any]) -> NodeMemory:
        """``raw``: from `wire.node`. Raises `RecordError` for text that is not in the record."""
        return decode_node(raw, self.host.page_size)

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
            stat=self._stat(raw, "domain_stat.", gone=self._gone(raw)),
            children=self._children(raw, path),
        )

    def _gone(self, raw: dict[str, Any]) -> int | None:
        """What no living cgroup below the domain holds; unknown where processes are in itself."""
        held, usage = raw["children_pages"], raw["domain.usage_pages"]
        if held is None or usage is None or not raw["children_used"]:
            return None
        if (raw["domain.flags"] or 0) & lib.OOMKILL_MEMCG_POPULATED:
            return None
        if raw["flags"] & lib.OOMKILL_CHILDREN_CUT:
            return None
        return self._bytes(max(0, usage - held))

    def _children(self, raw: dict[str, Any], domain: str) -> tuple[Child, ...] | None:
        count = raw["children_used"]
        if count is None:
            return None
        found = wire.children(raw["children"], min(count, lib.OOMKILL_CHILDREN))
        found.sort(key=lambda child: child["usage_pages"] or 0, reverse=True)
        return tuple(
            Child(
                cgroup=_below(domain, raw, child),
                cgroup_id=child["id"],
                usage_bytes=self._bytes(child["usage_pages"]),
                limit_bytes=self._limit(child["limit_pages"]),
            )
            for child in found
        )

    def _stat(self, raw: dict[str, Any], of: str, *, gone: int | None = None) -> Stat | None:
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
            zswap_bytes=raw[of + "zswap_bytes"],
            zswapped_bytes=in_bytes(raw[of + "zswapped_pages"]),
            hugetlb_bytes=in_bytes(raw[of + "hugetlb_pages"]),
            vmalloc_bytes=in_bytes(raw[of + "vmalloc_pages"]),
            percpu_bytes=raw[of + "percpu_bytes"],
            pinned_bytes=in_bytes(_pinned(raw, of)),
            gone_bytes=gone,
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
                command=text(candidate["comm"]) or None,
                rss_bytes=self._bytes(candidate["rss_pages"]),
                oom_score_adj=candidate["oom_score_adj"],
                points=candidate["points"],
                cgroup_id=candidate["child_id"],
            )
            for candidate in looked_at
            if candidate["pid"] != raw["process.pid"]
        )

    def victim(self, raw: dict[str, Any]) -> Victim:
        """Return the process alone: of a group, the others have what was said with the first."""
        in_bytes = self._bytes
        started_ns, known = raw["process.start_boottime_ns"], raw["process.pid_in_ns"]
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
            from_outside=(None if known is None else bool(raw["flags"] & lib.OOMKILL_FROM_OUTSIDE)),
            ppid=raw["process.ppid"],
            command=text(raw["process.comm"]) or None,
            parent_command=text(raw["process.parent_comm"]) or None,
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


def text(data: bytes) -> str:
    """Return what a fixed-width field of characters has up to its NUL."""
    return data.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _cmdline(raw: dict[str, Any]) -> str | None:
    data = _within(raw, "cmdline_offset", "cmdline_size")
    return cmdline_text(data, cut=bool(raw["flags"] & lib.OOMKILL_CMDLINE_CUT))


def _within(raw: dict[str, Any], offset: str, size: str) -> bytes:
    strings: bytes = raw["strings"]
    start, length = raw[offset], raw[size]
    if length and start + length > len(strings):
        where = f"{offset} {start}, {size} {length}"
        raise RecordError(f"victim record: {where} in {len(strings)} bytes of text")
    return strings[start : start + length]


def _path(raw: dict[str, Any], memcg: str) -> str | None:
    cut = bool((raw[memcg + ".flags"] or 0) & lib.OOMKILL_MEMCG_PATH_CUT)
    where = memcg + ".path_offset", memcg + ".path_size"
    return cgroup_path(raw, raw[memcg + ".id"], *where, cut=cut)


def cgroup_path(
    raw: dict[str, Any], cgroup_id: int | None, offset: str, size: str, *, cut: bool
) -> str | None:
    """Return a path of a record; None where there is no cgroup.

    ``offset``, ``size``: names of the fields that say where in ``strings`` it is; ``cut``: as
    `path_text` has it.
    """
    if cgroup_id is None:
        return None
    return path_text(_within(raw, offset, size), cut=cut, of=offset.partition(".")[0])


def _below(domain: str, raw: dict[str, Any], child: dict[str, Any]) -> str | None:
    """A child's path: the record has its name alone."""
    name = _within(raw | child, "name_offset", "name_size")
    if not name.endswith(b"\0"):
        return None
    return f"{domain.rstrip('/')}/{name[:-1].decode('utf-8', 'backslashreplace')}"


def _pinned(raw: dict[str, Any], of: str) -> int | None:
    """Pages on the kernel's lists that nobody maps, and that are in no file, tmpfs or swap cache.

    All lists are in it: locked memory, anonymous or a file's, is on one of its own. Unknown where
    some are in swap and this kernel does not count its cache of them by cgroup (before 5.12).
    """
    listed, file = raw[of + "lru_pages"], raw[of + "file_pages"]
    swapcached = raw[of + "swapcached_pages"]
    if listed is None or file is None:
        return None
    if swapcached is None and _swapped(raw, "domain" if of == "domain_stat." else "victim_memcg"):
        return None
    told: int = raw[of + "anon_pages"] + file + (swapcached or 0)
    return max(0, int(listed) - told)


def _swapped(raw: dict[str, Any], memcg: str) -> int | None:
    swapped: int | None = raw[memcg + ".swap_usage_pages"]
    if (raw[memcg + ".flags"] or 0) & lib.OOMKILL_MEMCG_V1:
        return _less(swapped, raw[memcg + ".usage_pages"])
    return swapped
