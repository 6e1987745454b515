# SPDX-License-Identifier: Apache-2.0
"""Runs Docker with BuildKit and compose, and the base image, below one folder."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from ...vm import mirror
from ...vm.apt import Apt
from ..runtimes.dockerd import dockerd
from ..waiting import eventually

PLUGINS = ("docker-buildx", "docker-compose")
BASE = "debian:trixie-slim"
PROBE, EXPORTER, FULL = IMAGES = (
    "container-oomkill-probe",
    "container-oomkill-exporter",
    "container-oomkill-exporter-full",
)
REPOSITORY = Path(__file__).parents[3]
BUILD_SECONDS = 900
T = TypeVar("T")


class Docker:
    """Docker's command line for one engine; removes at its end what was started by `start`."""

    def __init__(self, client: str, host: str, root: Path, config: Path) -> None:
        self.root = root
        self.environ = {**os.environ, "DOCKER_HOST": host, "DOCKER_CONFIG": str(config)}
        self._client = client
        self._started: list[str] = []

    def __call__(self, *arguments: str, status: int | None = 0, timeout: float = 120) -> str:
        """Run it, return what it printed; ``status`` None: whatever it ends with."""
        done = self.run(*arguments, timeout=timeout)
        if status is not None:
            assert done.returncode == status, (arguments, done.stdout, done.stderr)
        return done.stdout

    def run(
        self, *arguments: str, timeout: float = 120, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._client, *arguments],
            env=self.environ,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=timeout,
            input=stdin,
        )

    def version(self) -> int:
        """The engine's, its first number."""
        return int(self("version", "-f", "{{.Server.Version}}").partition(".")[0])

    def privileges(self) -> tuple[str, ...]:
        """What docker-compose.yml gives the exporter, or what its legacy override does."""
        capabilities = ("BPF", "PERFMON") if self.version() >= 23 else ("SYS_ADMIN",)
        state = f"{self.root}/containers:/var/lib/docker/containers:ro"
        return (
            *("--cap-drop=ALL", *(f"--cap-add={each}" for each in capabilities)),
            *("--read-only", "--security-opt=no-new-privileges", "-v", state),
        )

    def start(self, name: str, *arguments: str) -> str:
        """Run a container in the background."""
        self._started.append(name)
        return self("run", "-d", "--name", name, *arguments).strip()

    def logs(self, name: str) -> str:
        done = self.run("logs", name)
        return done.stdout + done.stderr

    def wait_for(self, name: str, words: str) -> str:
        """Wait until a container has printed something; return all it has printed."""

        def look() -> str:
            said = self.logs(name)
            return said if words in said else ""

        said: str = eventually(look)
        return said

    def remove_all(self) -> None:
        if self._started:
            self.run("rm", "-f", "-v", *self._started)
        self._started = []


@contextlib.contextmanager
def docker(folder: Path, base: Path | None = None) -> Iterator[Docker]:
    """One started here, or the one that the environment names; with the base image.

    ``base``: an archive of that, kept there if it is not yet.
    """
    config = folder / "config"
    with dockerd(folder) as daemon:
        engine = Docker(daemon.client, daemon.host, daemon.root, config)
        _install_plugins(config / "cli-plugins", engine, folder / "apt")
        if base is not None and base.exists():
            engine("load", "-i", str(base))
        if engine.run("image", "inspect", BASE).returncode:
            make = [str(REPOSITORY / "tools/image-base.sh"), mirror.find().archive]
            subprocess.run(make, env=engine.environ, check=True, timeout=BUILD_SECONDS)
        if base is not None and not base.exists():
            engine("save", BASE, "-o", f"{base}.part")
            Path(f"{base}.part").rename(base)
        yield engine


def _install_plugins(folder: Path, engine: Docker, scratch: Path) -> None:
    """buildx and compose; of trixie's packages, where this machine's Docker has none."""
    folder.mkdir(parents=True)
    lacking = [name for name in PLUGINS if engine.run(name.partition("-")[2], "version").returncode]
    if not lacking:
        return
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    apt = Apt(scratch, mirror.find(), ["trixie"], machine)
    apt.update()
    for name in lacking:
        [package] = apt.download([apt.package(name)])
        subprocess.run(["dpkg-deb", "-x", str(package), str(scratch / "x")], check=True)
        shutil.copy(scratch / "x/usr/libexec/docker/cli-plugins" / name, folder / name)
