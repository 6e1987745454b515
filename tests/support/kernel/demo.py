# SPDX-License-Identifier: Apache-2.0
"""Provokes one real kill in a cgroup of its own and shows what the probe makes of it."""

from __future__ import annotations

import os
import subprocess
import sys

from .cgroups import Cgroup, cgroups
from .processes import COMMAND

PATIENCE_SECONDS = 120.0
NEXT = """
next
  make run                           watch this machine: its page is http://localhost:9262/
  .venv/bin/container-oomkill demo   other real kills: a leak, a full tmpfs, a pod's limit, ...
  docs/tutorial.md                   provoke such kills, see why, fix them
"""

LIMIT_MIB = 32
HOG = """
import mmap
memory = mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # its own bound
for page in range(0, len(memory), mmap.PAGESIZE):
    memory[page] = 1
"""


def main() -> int:
    if os.geteuid() != 0:
        print("demo: making a cgroup needs root: sudo make demo", file=sys.stderr)
        return 3
    with cgroups(f"/oomkill-demo-{os.getpid()}") as (cgroup,):
        cgroup.limit(LIMIT_MIB)
        status = show_one_kill(cgroup)
    if status == 0:
        print(NEXT, end="")
    return status


def show_one_kill(cgroup: Cgroup) -> int:
    """Start the probe for one incident, then the hog; return the probe's exit status."""
    # Its own kill: there may be others on this machine at the same time.
    only = ["--cgroup", cgroup.path.rpartition("/")[2]]
    command = [sys.executable, str(COMMAND), "probe", "--count", "1", *only]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as probe:
        assert probe.stderr is not None
        attached = probe.stderr.readline()
        print(attached, end="", file=sys.stderr)
        if "attached with" not in attached:  # it has said why
            return probe.wait()
        print(f"a hog of 64 MiB starts in {cgroup.path}, limited to {LIMIT_MIB} MiB\n", flush=True)
        hog = [sys.executable, "-I", "-S", "-c", HOG]
        subprocess.run(hog, preexec_fn=cgroup.enter, check=False)
        try:
            return probe.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            print("demo: the kernel killed it, and the probe has no record", file=sys.stderr)
            probe.terminate()
            return 1


if __name__ == "__main__":
    sys.exit(main())
