# SPDX-License-Identifier: Apache-2.0
"""An engine of the tests' own with the images in it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .engine import BUILD_SECONDS, IMAGES, REPOSITORY, Docker
from .engine import docker as start_docker


@pytest.fixture(scope="session")
def session_docker() -> Iterator[Docker]:
    folder = Path(tempfile.mkdtemp(prefix="oomkill-images-", dir="/tmp"))
    try:
        with start_docker(folder) as engine:
            yield engine
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def built_images(session_docker: Docker) -> str:
    """What `make image` prints; the images are there then."""
    environ = {"BUILD_OPTIONS": "--network host", **session_docker.environ}
    done = subprocess.run(
        [str(REPOSITORY / "tools/image.sh"), "build"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        timeout=BUILD_SECONDS,
        check=True,
    )
    return done.stdout


@pytest.fixture
def docker(
    session_docker: Docker,
    built_images: str,  # noqa: ARG001 - made first
) -> Iterator[Docker]:
    """Without the containers of the test before."""
    yield session_docker
    session_docker.remove_all()


@pytest.fixture(scope="session")
def image_contents(
    session_docker: Docker,
    built_images: str,  # noqa: ARG001 - made first
) -> dict[str, dict[str, tarfile.TarInfo]]:
    """Everything in each image, by image and path."""
    return {image: _layers(session_docker, image) for image in IMAGES}


def _layers(docker: Docker, image: str) -> dict[str, tarfile.TarInfo]:
    """What the layers hold; an exported container has the engine's own additions."""
    found: dict[str, tarfile.TarInfo] = {}
    command = ["docker", "save", image]
    saved = subprocess.run(command, env=docker.environ, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            if file is None or member.size < 1024:
                continue
            try:
                with tarfile.open(fileobj=file) as layer:
                    found |= {f"/{os.path.normpath(each.name)}": each for each in layer}
            except tarfile.ReadError:
                continue  # the manifest, the configuration
    return found
