# SPDX-License-Identifier: Apache-2.0
"""A process from its start to what it says once it is attached: CPU time, then its memory."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

SIGN = "attached with "
SETTLE_SECONDS = 0.3  # without CPU time
PATIENCE_SECONDS = 60


class Started:
    """A context manager; ``cpu_ms`` and ``wall_ms``: from exec until it has said `SIGN`."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        begun = time.perf_counter()
        self._process = subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ
        )
        assert self._process.stderr is not None
        self.said = self._process.stderr.readline()
        self.cpu_ms = self.cpu_ns() / 1e6
        self.wall_ms = (time.perf_counter() - begun) * 1e3
        if SIGN not in self.said:
            self.close()
            raise RuntimeError(f"{argv}: {self.said!r}")

    def cpu_ns(self) -> int:
        """Of all its threads so far, user and system."""
        tasks = Path(f"/proc/{self._process.pid}/task")
        return sum(int((each / "schedstat").read_text().split()[0]) for each in tasks.iterdir())

    def wake_ups(self) -> int:
        """How often its threads have waited for something so far."""
        found = 0
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            text = (task / "status").read_text()
            found += int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
        return found

    def address(self) -> str:
        """Where the exporter listens, as it says."""
        found = re.search(r"listening on (\S+)", self.said)
        assert found is not None, self.said
        return found[1]

    def settle(self) -> None:
        """Wait until it has nothing left to do."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        before = -1
        while (now := self.cpu_ns()) != before and time.monotonic() < deadline:
            before = now
            time.sleep(SETTLE_SECONDS)

    def private_dirty(self) -> int:
        """Bytes that are its own alone: what it takes from a machine, whatever else runs there."""
        return private_dirty(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


def private_dirty(pid: int | str = "self") -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.partition("Private_Dirty:")[2].split()[0]) << 10


def of_bare_python(python: str) -> int:
    """Private dirty bytes of a Python that has imported nothing, not even `site`."""
    code = "print(open('/proc/self/smaps_rollup').read())"
    done = subprocess.run(
        [python, "-IS", "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    return int(done.stdout.partition("Private_Dirty:")[2].split()[0]) << 10
