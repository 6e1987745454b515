# SPDX-License-Identifier: Apache-2.0
"""Takes the kernel's log from now on, gives what it says of each kill: our records' judge."""

from __future__ import annotations

import os
import re
import select
import time
from dataclasses import dataclass
from typing import Self

KILLED = re.compile(
    r"(?P<message>.*): Killed process (?P<tid>\d+) \((?P<comm>.*)\) "
    r"total-vm:(?P<total_vm>\d+)kB, anon-rss:(?P<anon>\d+)kB, file-rss:(?P<file>\d+)kB, "
    r"shmem-rss:(?P<shmem>\d+)kB, UID:(?P<uid>\d+) pgtables:(?P<pgtables>\d+)kB "
    r"oom_score_adj:(?P<adj>-?\d+)"
)
STATS = re.compile(r"Memory cgroup stats for (?P<path>/.*?):?$")
STAT = re.compile(r"(?P<name>[a-z_]+) (?P<value>\d+)$")
TASK = re.compile(
    r"\[ *(?P<pid>\d+)\] +\d+ +(?P<tgid>\d+) +\d+ +(?P<rss>\d+) +(?:\d+ +\d+ +\d+ +)?"  # 6.8
    r"(?P<pgtables>\d+) +(?P<swap>\d+) +(?P<adj>-?\d+) (?P<comm>.*)"
)


@dataclass(frozen=True)
class Task:
    """A line of the kernel's list of those it looked at, the oldest way it was printed."""

    comm: str
    rss_pages: int
    size_pages: int  # with swap and page tables: what oom_badness() starts from
    adj: int


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


class KernelLog:
    """/dev/kmsg from the moment it was opened."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._waiting: list[Killed] = []
        self._stat: dict[str, int] = {}
        self.stats: dict[str, dict[str, int]] = {}  # "Memory cgroup stats", last, by path
        self.tasks: dict[int, Task] = {}  # by process

    def killed(self, seconds: float = 60) -> Killed:
        """Return the next kill; fails if the kernel logs none in time."""
        deadline = time.monotonic() + seconds
        while not self._waiting:
            left = deadline - time.monotonic()
            assert left > 0, "the kernel logged no kill"
            select.select([self._fd], [], [], left)
            self._read()
        return self._waiting.pop(0)

    def killed_so_far(self) -> list[Killed]:
        """Return the kills logged and not yet returned."""
        self._read()
        taken, self._waiting = self._waiting, []
        return taken

    def _read(self) -> None:
        while True:
            try:
                record = os.read(self._fd, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                return
            except BrokenPipeError:  # overwritten before it was read; go on with what is there
                continue
            text = record.split(";", 1)[1].split("\n", 1)[0]
            for line in text.split(r"\x0a"):
                self._take(line)

    def _take(self, line: str) -> None:
        if killed := parse(line):
            self._waiting.append(killed)
        elif found := STATS.match(line):
            self._stat = self.stats[found["path"]] = {}
        elif found := STAT.match(line):
            self._stat[found["name"]] = int(found["value"])
        elif found := TASK.match(line):
            page = os.sysconf("SC_PAGE_SIZE")
            rss, swap = int(found["rss"]), int(found["swap"])
            size = rss + swap + int(found["pgtables"]) // page
            task = Task(found["comm"], rss, size, int(found["adj"]))
            self.tasks[int(found["tgid"])] = task

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
