# SPDX-License-Identifier: Apache-2.0
"""Inside a guest: runs the exporter of an unpacked image, provokes a kill, prints what it served.

    python -m tests.support.images.serving CONTENTS HOG

The last line of the output is JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from ..kernel.cgroups import cgroups

LIMIT_MIB = 32
SECONDS = 120
EXPORTER = ("/usr/bin/container-oomkill", "exporter", "--web.listen-address", "127.0.0.1:9262")


def main(contents: str, hog: str) -> None:
    for tree in ("proc", "sys", "dev"):
        place = Path(contents, tree)
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "--rbind", f"/{tree}", str(place)], check=True)
    command = ["chroot", contents, *EXPORTER]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as exporter:
        try:
            assert exporter.stderr is not None
            words = exporter.stderr.readline()
            assert "listening on" in words, words + exporter.stderr.read()
            print(words)
            print(json.dumps(one_kill(hog)))
        finally:
            exporter.terminate()


def one_kill(hog: str) -> dict[str, object]:
    with cgroups("/oomkill-image") as (cgroup,):
        cgroup.limit(LIMIT_MIB)
        process = subprocess.Popen([hog, "anon", "64"], preexec_fn=cgroup.enter)
        assert process.wait(SECONDS) == -9
    deadline = time.monotonic() + SECONDS
    while not (found := get("/api/v1/incidents?limit=1")["incidents"]):
        assert time.monotonic() < deadline, "no incident came"
        time.sleep(0.2)
    with urllib.request.urlopen("http://127.0.0.1:9262/metrics", timeout=SECONDS) as answer:
        metrics = answer.read().decode()
    series = r'(?m)^container_oomkill_total\{container="oomkill-image".*\} (\S+)$'
    kills = re.search(series, metrics)
    return {
        "hook": found[0]["hook"],
        "kernel": found[0]["kernel"],
        "kills": float(kills[1]) if kills else None,
        "limit_bytes": found[0]["domain"]["limit_bytes"],
        "asked_limit_bytes": LIMIT_MIB << 20,
        "victim": found[0]["victims"][0]["pid"],
        "killed": process.pid,
        "verdict": found[0]["verdict"],
    }


def get(path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:9262{path}", timeout=SECONDS) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
