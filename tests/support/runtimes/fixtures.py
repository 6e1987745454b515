# SPDX-License-Identifier: Apache-2.0
"""Fixtures: real runtimes, and the probe with their state folders as its options."""

from __future__ import annotations

import contextlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..kernel.processes import Recorder, compile_hog
from . import engines
from .containerd import Containerd, containerd
from .engines import Engine
from .image import write_archive

ENGINES = {"docker": engines.docker, "podman": engines.podman}


@pytest.fixture(scope="session")
def runtimes_folder() -> Iterator[Path]:
    """Short: the path of a unix socket may have 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="oomkill-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def hog_image(runtimes_folder: Path) -> Path:
    """An archive of an image of the hog."""
    hog = compile_hog(runtimes_folder / "hog", "-static")
    return write_archive(runtimes_folder / "hog.tar", hog, platform.machine())


@pytest.fixture(scope="session", params=sorted(ENGINES))
def session_engine(
    request: pytest.FixtureRequest, runtimes_folder: Path, hog_image: Path
) -> Iterator[Engine]:
    below = runtimes_folder / request.param
    below.mkdir()
    with ENGINES[request.param](below, hog_image) as engine:
        yield engine


@pytest.fixture
def engine(session_engine: Engine) -> Iterator[Engine]:
    """Docker, then Podman; without containers of the test before."""
    yield session_engine
    session_engine.remove_all()


@pytest.fixture(scope="session")
def session_containerd(runtimes_folder: Path, hog_image: Path) -> Iterator[Containerd]:
    below = runtimes_folder / "containerd"
    below.mkdir()
    with containerd(below, hog_image) as started:
        yield started


@pytest.fixture
def start_recorder(hook: str) -> Iterator[Callable[..., Recorder]]:
    """Start `container-oomkill probe -o json` with options."""
    with contextlib.ExitStack() as stack:
        yield lambda *options: stack.enter_context(Recorder(hook, *options))
