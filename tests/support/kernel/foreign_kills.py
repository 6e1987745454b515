# SPDX-License-Identifier: Apache-2.0
"""OOM kills that are no test's: ten a second, for a machine on which others work as well.

    python -m tests.support.kernel.foreign_kills 600 &
    python -m pytest tests/kernel

They are in a cgroup of their own with a limit of 4 MiB; each process has a bound of 32 MiB. SIGTERM
ends them, and the cgroup goes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from ..chaos.killing import Killing
from .cgroups import cgroups

A_SECOND = 10


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.kernel.foreign_kills")
    parser.add_argument("seconds", type=int)
    parser.add_argument("--rate", type=int, default=A_SECOND, help="kills a second (default: 10)")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory() as folder, cgroups(f"/foreign-{os.getpid()}") as (cgroup,):
        count, every_ms = args.seconds * args.rate, 1000 // args.rate
        with Killing(Path(folder), cgroup, count, every_ms) as killing:
            print(f"{args.rate} OOM kills a second in {cgroup.path}", flush=True)
            print(f"{len(killing.pids())} killed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
