# SPDX-License-Identifier: Apache-2.0
"""Fixtures: real runtimes, and the probe with their state folders as its options."""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from container_oomkill.probe import object_file
from container_oomkill.probe.attach import attach

from ..kernel.conftest import SOURCE
from ..support.kernel.processes import Recorder
from ..support.runtimes import engines
from ..support.runtimes.containerd import Containerd, containerd
from ..support.runtimes.engines import Engine
from ..support.runtimes.image import write_archive

ENGINES = {"docker": engines.docker, "podman": engines.podman}


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Short: the path of a unix socket may have 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="oomkill-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def archive(folder: Path) -> Path:
    """An image of the hog."""
    hog = folder / "hog"
    command = ["cc", "-O1", "-Wall", "-Werror", "-static", "-pthread", str(SOURCE), "-o", str(hog)]
    subprocess.run(command, check=True)
    return write_archive(folder / "hog.tar", hog, platform.machine())


@pytest.fixture(scope="session", params=sorted(ENGINES))
def session_engine(request: pytest.FixtureRequest, folder: Path, archive: Path) -> Iterator[Engine]:
    below = folder / request.param
    below.mkdir()
    with ENGINES[request.param](below, archive) as engine:
        yield engine


@pytest.fixture
def engine(session_engine: Engine) -> Iterator[Engine]:
    """Docker, then Podman; without containers of the test before."""
    yield session_engine
    session_engine.remove_all()


@pytest.fixture(scope="session")
def session_containerd(folder: Path, archive: Path) -> Iterator[Containerd]:
    below = folder / "containerd"
    below.mkdir()
    with containerd(below, archive) as started:
        yield started


@pytest.fixture(scope="session")
def hook() -> str:
    with attach(object_file.read_object()) as probe:
        return probe.hook


@pytest.fixture
def record(hook: str) -> Iterator[Callable[..., Recorder]]:
    """Start `container-oomkill probe -o json` with options."""
    with contextlib.ExitStack() as stack:
        yield lambda *options: stack.enter_context(Recorder(hook, *options))
