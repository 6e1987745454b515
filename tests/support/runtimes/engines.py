# SPDX-License-Identifier: Apache-2.0
"""Runs Docker and Podman with all of their files below one folder."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .dockerd import dockerd
from .image import IMAGE
from .running import Started, output, program, remove_cgroups

LIMIT_MIB = 32


class Engine:
    """Docker's command line, and whatever else speaks it."""

    def __init__(
        self, runtime: str, client: list[str], state: Path, folder: Path, limits: tuple[str, ...]
    ) -> None:
        self.runtime = runtime
        self.client = client
        self.options = (f"--state.{runtime}", str(state))  # for the probe
        self._folder = folder
        self._limits = limits
        self._used: list[str] = []
        self._started: list[Started] = []

    def run(self, name: str, script: str, *options: str) -> Started:
        """Run the hog in a container with a limit of `LIMIT_MIB` and no network."""
        id_file = self._folder / f"{name}.id"
        id_file.unlink(missing_ok=True)
        memory = f"{LIMIT_MIB}m"
        command = [
            *(*self.client, "run", "-i", "--name", name, "--cidfile", str(id_file)),
            *("--network=none", "--memory", memory, "--memory-swap", memory),
            *(*self._limits, *options, IMAGE, "/hog", *script.split()),
        ]
        self._used.append(name)
        self._started.append(Started(name, command, id_file, self._folder))
        return self._started[-1]

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(output(*self.client, "inspect", name))[0]
        return found

    def remove_all(self) -> None:
        """Remove the containers of one test."""
        for started in self._started:
            started.close()
        if self._used:
            subprocess.run([*self.client, "rm", "-f", *self._used], capture_output=True)
        self._used, self._started = [], []


@contextlib.contextmanager
def docker(folder: Path, archive: Path) -> Iterator[Engine]:
    """Docker's daemon, started here or as the environment has it."""
    with dockerd(folder) as daemon:
        command = [daemon.client, "-H", daemon.host]
        output(*command, "load", "-i", str(archive))
        yield Engine("docker", command, daemon.root / "containers", folder, ())


@contextlib.contextmanager
def podman(folder: Path, archive: Path) -> Iterator[Engine]:
    """Podman, which is no daemon."""
    client = [program("podman", "podman"), "--root", str(folder / "root")]
    client += ["--runroot", str(folder / "run"), "--tmpdir", str(folder / "tmp")]
    client += ["--cgroup-manager=cgroupfs", "--runtime", program("runc", "runc")]
    # Higher than the tests' own is not to be had without CAP_SYS_RESOURCE.
    limits = ("--ulimit=nofile=1024:4096", "--ulimit=nproc=4096:4096")
    try:
        output(*client, "load", "-i", str(archive))
        driver = output(*client, "info", "-f", "{{.Store.GraphDriverName}}")
        yield Engine("podman", client, folder / f"root/{driver}-containers", folder, limits)
    finally:
        for command in (["pod", "rm", "-af"], ["rm", "-af"], ["rmi", "-af"]):
            subprocess.run([*client, *command], capture_output=True)
        for mounted in (folder / "root/overlay", folder / "root"):  # Podman's own bind mount
            subprocess.run(["umount", "-q", str(mounted)], capture_output=True)
        remove_cgroups("/libpod_parent/conmon", "/libpod_parent")
