# SPDX-License-Identifier: Apache-2.0
"""Takes the names of other tools, gives their programs from the distribution's packages."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.vm.packages import cache_dir


def fetch_libbpf_tools() -> Path | None:
    """libbpf-tools' oomkill: the floor, C and libbpf alone. None if it is not to be had."""
    program = cache_dir() / "peers" / "libbpf-tools" / "usr/sbin/oomkill"
    if program.exists():
        return program
    target = program.parents[2]
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        download = ["apt-get", "download", "-qq", "libbpf-tools"]
        done = subprocess.run(download, cwd=folder, check=False, stderr=subprocess.DEVNULL)
        packages = list(Path(folder).glob("*.deb"))
        if done.returncode or not packages:
            return None
        subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(target)], check=True)
    return program if program.exists() else None
