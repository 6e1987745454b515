# SPDX-License-Identifier: Apache-2.0
"""Fuzzes every target for its share of the time, by coverage (atheris, libFuzzer).

    python -m tests.fuzz [--seconds 600] [TARGET...]

Starts from tests/fuzz/corpus; what it learns is in build/fuzz, and so is the input of each fault.
Exit status 1 if there was one. `--keep` adds to the corpus what covers more.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

TARGETS = (
    *("ring", "record", "history", "state", "large_state"),
    *("engine", "kubernetes", "cgroup", "http", "site"),
)
HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
BUILD = HERE.parents[1] / "build" / "fuzz"
ROOM = 32  # files of a target's corpus, the smallest that cover all
LIMITS = ("-timeout=20", "-rss_limit_mb=2048", "-max_len=8192", "-print_final_stats=1")


def fuzz(name: str, seconds: int) -> bool:
    """Give whether it held; prints a line of numbers."""
    learned = BUILD / name
    learned.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "tests.fuzz.one", name, f"-max_total_time={seconds}", *LIMITS),
        *(f"-dict={HERE / 'words.dict'}", f"-artifact_prefix={BUILD}/{name}-"),
        *(str(learned), str(CORPUS / name)),
    ]
    log = BUILD / f"{name}.log"
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=HERE.parents[1], stdout=output, stderr=subprocess.STDOUT, check=False
        )
    text = log.read_text(errors="replace")
    runs = re.search(r"stat::number_of_executed_units:\s+(\d+)", text)
    covered = re.findall(r"cov: (\d+)", text)
    fault = re.search(r"Test unit written to (\S+)", text)
    print(
        f"{name:12} {int(runs[1]) if runs else 0:9,} inputs  {covered[-1] if covered else '?':>6} "
        f"edges  {'FAULT ' + fault[1] if fault else 'no fault' if not done.returncode else 'DIED'}"
        f"{'' if not done.returncode else f', see {log}'}",
        flush=True,
    )
    return done.returncode == 0


def keep(name: str) -> None:
    """Have in the corpus what covers all that was learned, in the fewest and smallest files."""
    merged = BUILD / f"{name}.merged"
    merged.mkdir(exist_ok=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.one", name, "-merge=1", *LIMITS),
            *(str(merged), str(CORPUS / name), str(BUILD / name)),
        ],
        cwd=HERE.parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    for path in sorted(merged.iterdir(), key=lambda path: path.stat().st_size)[:ROOM]:
        target = CORPUS / name / path.name
        if not target.exists():
            target.write_bytes(path.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--keep", action="store_true", help="add to tests/fuzz/corpus")
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)}; all by default")
    options = parser.parse_args()
    names = options.target or TARGETS
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    share = max(1, options.seconds // len(names))
    held = [fuzz(name, share) for name in names]
    if options.keep:
        for name in names:
            keep(name)
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
