# SPDX-License-Identifier: Apache-2.0
"""Runs the Docker of Debian trixie in a root of its own.

It knows CAP_BPF and CAP_PERFMON, which the Docker of an older machine does not.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ...vm import mirror
from ...vm.roots import inside
from ..runtimes.running import daemon, program
from .engine import BUILD_SECONDS, Docker

SUITE = "trixie"
PACKAGES = "docker.io,containerd,runc,iptables"
BRIDGE, BRIDGE_ADDRESS = "oomkill-current", "172.31.252.1/24"


@contextlib.contextmanager
def current_docker(folder: Path) -> Iterator[Docker]:
    """``folder`` is at the same path in the root: what containers mount is looked for there."""
    root = folder / "root"
    make = [program("debootstrap", "debootstrap"), "--variant=minbase", f"--include={PACKAGES}"]
    make += [SUITE, str(root), mirror.find().archive]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, timeout=BUILD_SECONDS)
    (folder / "daemon.json").write_text("{}")
    client, host = program("docker", "docker.io"), f"unix://{folder}/socket"
    command = [*inside(root, folder), "dockerd", "-H", host, "--data-root", str(folder / "data")]
    command += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")]
    command += ["--config-file", str(folder / "daemon.json"), f"--bridge={BRIDGE}"]
    command += ["--iptables=false", "--ip6tables=false", "--ip-masq=false"]

    def ready() -> bool:
        return subprocess.run([client, "-H", host, "version"], capture_output=True).returncode == 0

    with contextlib.ExitStack() as stack:
        _ip("link", "add", BRIDGE, "type", "bridge")
        stack.callback(_ip, "link", "delete", BRIDGE)
        _ip("addr", "add", BRIDGE_ADDRESS, "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        stack.enter_context(daemon(command, folder / "dockerd.log", ready))
        engine = Docker(client, host, folder / "data", folder / "config")
        stack.callback(engine.remove_all)
        yield engine


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
