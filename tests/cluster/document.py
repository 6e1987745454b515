# SPDX-License-Identifier: Apache-2.0
"""Takes the folder of a run, writes docs/kubernetes.md's section of what `kubectl describe` shows.

    python -m tests.cluster.document build/cluster/1.37.2-here

The words around it are of a run on cgroup v1, by the raw tracepoint. Of each pod it is the
containers' states and the Events that tell of an end, word for word.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/kubernetes.md"
BEGIN, END = "## What `kubectl describe pod` shows\n", "\n## Prometheus\n"
SHOWN = re.compile(
    r"Name: |    (State|Last State): |      (Reason|Exit Code): |    Restart Count: |"
    r"  Warning +(OOMKilling|Unhealthy) |  Normal +Killing "
)
INTRODUCTION = """
Five kinds of kill in a run of `make test-cluster` (Kubernetes {version}, cgroup v1), cut to the
containers' states and the Events of their end. "Apparently": this kernel gives the raw tracepoint
only. `python -m tests.cluster.document build/cluster/{folder}` writes this section.
"""
CAPTIONS = {
    "one-container": "A Deployment whose pod has one container: its program is PID 1.",
    "child-of-PID-1": "A child of PID 1 on cgroup v1: Kubernetes tells nothing, the Event does.",
    "init-container": "An init container: the pod does not start.",
    "exec-probe": "An exec liveness probe that took the memory. The state says `OOMKilled`; on "
    "cgroup v1 it was\nthe kubelet that ended the program, for its failed probe.",
    "tmpfs-emptyDir-left-behind": "A memory-backed emptyDir: the second kill, after the restart.",
}


def main() -> int:
    if len(sys.argv) != 2 or not sys.argv[1].rstrip("/").endswith("-here"):
        print("usage: python -m tests.cluster.document build/cluster/VERSION-here", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    version = folder.name.partition("-")[0]
    parts = [BEGIN, INTRODUCTION.format(version=version, folder=folder.name)]
    for kind, caption in CAPTIONS.items():
        lines = (folder / f"describe-{kind}.txt").read_text().splitlines()
        shown = [f"    {line}\n" for line in lines if SHOWN.match(line)]
        parts.append(f"\n{caption}\n\n{''.join(shown)}")
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    DOCUMENT.write_text(before + "".join(parts) + END + rest.split(END)[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
