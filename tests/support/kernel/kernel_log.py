# SPDX-License-Identifier: Apache-2.0
"""Reads what the kernel's log says about each kill from now on: our records' judge."""

from __future__ import annotations

import os
import re
import select
import time
from dataclasses import dataclass, field
from typing import Self

KILLED = re.compile(
    r"(?P<message>.*): Killed process (?P<tid>\d+) \((?P<comm>.*)\) "
    r"total-vm:(?P<total_vm>\d+)kB, anon-rss:(?P<anon>\d+)kB, file-rss:(?P<file>\d+)kB, "
    r"shmem-rss:(?P<shmem>\d+)kB, UID:(?P<uid>\d+) pgtables:(?P<pgtables>\d+)kB "
    r"oom_score_adj:(?P<adj>-?\d+)",
    re.DOTALL,
)
STATS = re.compile(r"Memory cgroup stats for (?P<path>/.*?):?$")
STAT = re.compile(r"(?P<name>[a-z_]+) (?P<value>\d+)$")
MEMORY = re.compile(r"(?P<name>[a-z_]+):(?P<pages>\d+)(?=\s|$)")  # of Mem-Info, show_mem()
# The end of Mem-Info: all there is, and what the kernel never handed out.
PAGES = re.compile(r"(?P<pages>\d+) pages (?P<name>RAM|reserved)$")
TASK = re.compile(
    r"\[ *(?P<pid>\d+)\] +\d+ +(?P<tgid>\d+) +\d+ +(?P<rss>\d+) +(?:\d+ +\d+ +\d+ +)?"  # 6.8
    r"(?P<pgtables>\d+) +(?P<swap>\d+) +(?P<adj>-?\d+) (?P<comm>.*)"
)


@dataclass(frozen=True)
class Task:
    """A line of the kernel's list of those it looked at, the oldest way it was printed."""

    comm: str
    rss_pages: int
    swap_pages: int
    size_pages: int  # with swap and page tables: what oom_badness() starts from
    adj: int


# The parts of a report (dump_header(), mm/oom_kill.c), each a line of its own.
REPORT = (
    re.compile(
        r"(?P<trigger>.*) invoked oom-killer: gfp_mask=(?P<gfp_mask>0x[0-9a-f]+)\S*"
        r" order=(?P<order>-?\d+),",
        re.DOTALL,
    ),
    re.compile(r"memory: usage (?P<usage>\d+)kB, limit (?P<limit>\d+)kB,"),
    re.compile(r"swap: usage (?P<swap_usage>\d+)kB, limit (?P<swap_limit>\d+)kB,"),
    re.compile(
        r"oom-kill:constraint=CONSTRAINT_(?P<constraint>\w+),nodemask=\S+,cpuset=.*,"
        r"(?:oom_memcg=(?P<domain>.*)|global_oom),task_memcg=(?P<cgroup>.*),task=.*,pid=\d+,uid=",
        re.DOTALL,
    ),
)
ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")  # /dev/kmsg writes what is not printable so


@dataclass(frozen=True)
class Killed:
    """One line; sizes in bytes."""

    message: str
    tid: int
    comm: str
    total_vm: int
    anon: int
    file: int
    shmem: int
    uid: int
    pgtables: int
    adj: int


def parse(line: str) -> Killed | None:
    """Return what a log line says of a kill; None for any other line."""
    found = KILLED.match(line)
    if found is None:
        return None
    kib = {
        name: int(found[name]) << 10 for name in ("total_vm", "anon", "file", "shmem", "pgtables")
    }
    return Killed(
        message=found["message"],
        tid=int(found["tid"]),
        comm=found["comm"],
        uid=int(found["uid"]),
        adj=int(found["adj"]),
        **kib,
    )


@dataclass(frozen=True)
class Report:
    """What the kernel prints before it kills, ten times in five seconds at most; sizes in bytes."""

    trigger: str
    gfp_mask: int
    order: int
    usage: int | None  # of the cgroup whose limit it was; None: node-wide
    limit: int | None
    swap_usage: int | None
    constraint: str
    domain: str | None
    cgroup: str


def assemble(lines: dict[str, str]) -> Report:
    """Return a report of its lines' fields."""
    kib = {
        name: int(lines[name]) << 10 if name in lines else None
        for name in ("usage", "limit", "swap_usage")
    }
    return Report(
        trigger=lines["trigger"],
        gfp_mask=int(lines["gfp_mask"], 16),
        order=int(lines["order"]),
        constraint=lines["constraint"].lower(),
        domain=lines.get("domain"),
        cgroup=lines["cgroup"],
        **kib,
    )


@dataclass
class Before:
    """What the kernel printed before it killed."""

    fields: dict[str, str] = field(default_factory=dict)
    stats: dict[str, dict[str, int]] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)

    def report(self) -> Report | None:
        """None if there is none, or its beginning was overwritten."""
        whole = "trigger" in self.fields and "constraint" in self.fields
        return assemble(self.fields) if whole else None


class KernelLog:
    """/dev/kmsg from the moment it was opened."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._waiting: list[tuple[Killed, Before]] = []
        self._before = Before()
        self._stat: dict[str, int] = {}
        # Of the kill returned last, where the kernel printed them:
        self.report: Report | None = None
        self.stats: dict[str, dict[str, int]] = {}  # "Memory cgroup stats", by path
        self.tasks: dict[int, Task] = {}  # by process
        self.memory: dict[str, int] = {}  # of the whole node, bytes by the kernel's names

    def killed(self, tid: int, seconds: float = 60) -> Killed:
        """Return the kill of this task; fails if the kernel logs none in time.

        What was logged before it was another's, and is not returned any more.
        """
        deadline = time.monotonic() + seconds
        while True:
            while self._waiting:
                killed, before = self._waiting.pop(0)
                if killed.tid == tid:
                    self.report, self.stats = before.report(), before.stats
                    self.tasks, self.memory = before.tasks, before.memory
                    return killed
            left = deadline - time.monotonic()
            assert left > 0, f"the kernel logged no kill of {tid}"
            select.select([self._fd], [], [], left)
            self._read()

    def killed_so_far(self, *pids: int) -> list[Killed]:
        """Return the kills of these processes that are logged and not yet returned.

        Of any, where none is named: in a guest nobody else is killed.
        """
        self._read()
        taken, self._waiting = self._waiting, []
        return [killed for killed, _ in taken if not pids or killed.tid in pids]

    def _read(self) -> None:
        while True:
            try:
                record = os.read(self._fd, 8192)
            except BlockingIOError:
                return
            except BrokenPipeError:  # overwritten before it was read; go on with what is there
                continue
            text = record.split(b";", 1)[1].split(b"\n", 1)[0]
            text = ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), text)
            self._take(text.decode("utf-8", "backslashreplace"))

    def _take(self, line: str) -> None:
        if killed := parse(line):
            self._waiting.append((killed, self._before))
            self._before = Before()  # the next kill, of whomever, has its own or none
            return
        for part in REPORT:
            if found := part.match(line):
                fields = {name: text for name, text in found.groupdict().items() if text}
                if "trigger" in fields:
                    self._before = Before()
                self._before.fields |= fields
        if line.startswith("active_anon:"):
            page = os.sysconf("SC_PAGE_SIZE")
            found_pages = ((each["name"], each["pages"]) for each in MEMORY.finditer(line))
            self._before.memory = {name: int(pages) * page for name, pages in found_pages}
        if found := PAGES.match(line):
            size = int(found["pages"]) * os.sysconf("SC_PAGE_SIZE")
            self._before.memory[found["name"].lower()] = size
        for stat in line.split("\n"):  # all of them in one record
            self._take_stat(stat)

    def _take_stat(self, line: str) -> None:
        if found := STATS.match(line):
            self._stat = self._before.stats[found["path"]] = {}
        elif found := STAT.match(line):
            self._stat[found["name"]] = int(found["value"])
        elif found := TASK.match(line):
            page = os.sysconf("SC_PAGE_SIZE")
            rss, swap = int(found["rss"]), int(found["swap"])
            size = rss + swap + int(found["pgtables"]) // page
            task = Task(found["comm"], rss, swap, size, int(found["adj"]))
            self._before.tasks[int(found["tgid"])] = task

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
