# SPDX-License-Identifier: Apache-2.0
"""Inside a guest: how long each tool takes from exec to attached, and its memory then."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import sys
import sysconfig
import time
from pathlib import Path

COMMAND = str(Path(sysconfig.get_path("scripts")) / "container-oomkill")
OURS = ("fentry", "kprobe", "raw_tracepoint")
LIMIT_SECONDS = 60


def main(result: str, rounds: int, peer: str | None = None) -> None:
    tools: dict[str, tuple[list[str], bytes]] = {}
    if peer:
        tools["libbpf-tools oomkill"] = ([peer], b"Tracing")
    for hook in OURS:
        tools[f"probe, {hook}"] = ([COMMAND, "probe", "--hook", hook], b"attached")
    tools["python -c pass"] = ([sys.executable, "-c", "print('done')"], b"done")
    measured: dict[str, dict[str, list[float]]] = {
        tool: {"seconds": [], "pss_mib": []} for tool in tools
    }
    for number in range(rounds + 1):
        for tool, (argv, sign) in tools.items():
            seconds, pss = measure(argv, sign)
            if number:  # the first round warms the caches
                measured[tool]["seconds"].append(seconds)
                if pss is not None:
                    measured[tool]["pss_mib"].append(pss)
    Path(result).write_text(json.dumps(measured))


def measure(argv: list[str], sign: bytes) -> tuple[float, float | None]:
    """Run a tool on a terminal of its own until it says that it is attached."""
    started = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    said = b""
    while sign not in said:
        if not select.select([terminal], [], [], LIMIT_SECONDS)[0]:
            raise RuntimeError(f"{argv}: not attached, said {said!r}")
        try:
            said += os.read(terminal, 4096)
        except OSError as error:
            raise RuntimeError(f"{argv}: ended, said {said!r}") from error
    seconds = time.monotonic() - started
    time.sleep(1)  # let it finish importing
    pss = pss_mib(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    os.waitpid(pid, 0)
    os.close(terminal)
    return seconds, pss


def pss_mib(pid: int) -> float | None:
    """The process's share of memory, pages shared with others in proportion."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        return None
    return None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
