# SPDX-License-Identifier: Apache-2.0
"""Runs Debian's Docker registry on the loopback interface."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...vm import mirror
from ...vm.apt import Apt
from ..runtimes.running import daemon

PACKAGE = "docker-registry"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Give its HOST:PORT; engines speak plain HTTP to the loopback interface."""
    program = shutil.which(PACKAGE) or _unpacked(folder)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(CONFIG.format(folder=folder, port=address.rpartition(":")[2]))

    def ready() -> bool:
        try:
            return ask(address, "") == {}
        except OSError:
            return False

    with daemon([program, "serve", str(config)], folder / "registry.log", ready):
        yield address


def ask(address: str, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{address}/v2/{path}", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _unpacked(folder: Path) -> str:
    """The package's program, without the service it would start."""
    apt = Apt(folder / "apt", mirror.find(), ["trixie"], MACHINES[platform.machine()])
    apt.update()
    [package] = apt.download([apt.package(PACKAGE)])
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "x")], check=True)
    return str(folder / "x/usr/bin" / PACKAGE)
