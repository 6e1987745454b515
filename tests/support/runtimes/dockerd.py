# SPDX-License-Identifier: Apache-2.0
"""Runs Docker's daemon with all of its files below one folder, or uses one that is named.

OOMKILL_TEST_DOCKER names one, such as unix:///run/docker.sock, OOMKILL_TEST_DOCKER_ROOT
its data root.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .running import daemon, program

DOCKER = "OOMKILL_TEST_DOCKER"
DOCKER_ROOT = "OOMKILL_TEST_DOCKER_ROOT"


@dataclass(frozen=True)
class Daemon:
    """``client`` is the command line's path, ``host`` for its -H."""

    client: str
    host: str
    root: Path  # of its data


@contextlib.contextmanager
def dockerd(folder: Path) -> Iterator[Daemon]:
    """Start a daemon that touches neither the machine's network nor another daemon's files."""
    client = program("docker", "docker.io")
    if DOCKER in os.environ:
        yield Daemon(client, os.environ[DOCKER], Path(os.environ[DOCKER_ROOT]))
        return
    started = Daemon(client, f"unix://{folder}/socket", folder / "data")
    with _bridge() as bridge:
        command = [program("dockerd", "docker.io"), "-H", started.host]
        command += ["--data-root", str(started.root), "--exec-root", str(folder / "exec")]
        command += ["--pidfile", str(folder / "pid"), f"--bridge={bridge}"]
        command += ["--config-file", str(folder / "daemon.json")]
        command += ["--iptables=false", "--ip6tables=false", "--ip-masq=false"]
        (folder / "daemon.json").write_text("{}")

        def ready() -> bool:
            version = [client, "-H", started.host, "version"]
            return subprocess.run(version, capture_output=True).returncode == 0

        try:
            with daemon(command, folder / "dockerd.log", ready):
                yield started
        finally:
            for mounted in (folder / "exec/netns").glob("*"):
                subprocess.run(["umount", str(mounted)], check=False)


@contextlib.contextmanager
def _bridge() -> Iterator[str]:
    """A bridge of its own: with `--bridge=none` a daemon deletes another one's docker0."""
    name = f"oomkill{os.getpid()}"
    _ip("link", "add", name, "type", "bridge")
    try:
        _ip("addr", "add", f"172.31.{os.getpid() % 254 + 1}.1/24", "dev", name)
        _ip("link", "set", name, "up")
        yield name
    finally:
        _ip("link", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run([program("ip", "iproute2"), *arguments], check=True)
