# SPDX-License-Identifier: Apache-2.0
"""Takes a guest's memory away, for a hog of 256 MiB to run it out."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")
MIN_FREE = Path("/proc/sys/vm/min_free_kbytes")
LEFT_MIB = 64
SPARES = 2
SPARE = "sleep"  # by name


@contextlib.contextmanager
def little_memory(left_mib: int = LEFT_MIB) -> Iterator[None]:
    """Keep all but ``left_mib`` of the node's free memory in huge pages, which nobody may use.

    What the kernel keeps back for itself is left too: once the hog has ended, its share has to lift
    every zone above its watermarks, or whoever asks at that moment has the next one killed.
    What is cached is left to the kernel: to take that too costs an emulated guest half a minute.
    """
    with _spares():
        memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        kib = int(memory["MemFree"].split()[0]) - int(MIN_FREE.read_text())
        HUGE_PAGES.write_text(str(((kib >> 10) - left_mib) // 2))
        try:
            assert int(HUGE_PAGES.read_text()) > 0
            yield
        finally:
            HUGE_PAGES.write_text("0")


@contextlib.contextmanager
def _spares() -> Iterator[None]:
    """Have processes that are killed before all others but a hog of 1000.

    Whoever asks for memory while the hog ends looks for some first, and for somebody to kill then,
    when the hog's memory is free already: it would take the largest, which is pytest.
    """
    script = f"echo 999 > /proc/self/oom_score_adj; echo ready; exec {SPARE} 3600"
    command = ["sh", "-c", script]
    spares = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(SPARES)]
    try:
        for each in spares:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        yield
    finally:
        for each in spares:
            each.kill()
            each.communicate()
