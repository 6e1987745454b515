# SPDX-License-Identifier: Apache-2.0
"""make push, a base image by digest, make clean: against a registry of the test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_oomkill import __version__

from ..support.images.engine import BASE, BUILD_SECONDS, IMAGES, REPOSITORY, Docker
from ..support.images.registry import ask, registry
from ..vm import mirror

OTHER = "oomkill-test-other"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


def script(docker: Docker, command: str, **settings: str) -> str:
    """Run tools/image.sh, return what it printed."""
    return subprocess.run(
        [str(REPOSITORY / "tools/image.sh"), command],
        env={**docker.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
        timeout=BUILD_SECONDS,
        check=True,
    ).stdout


def test_push(docker: Docker, published: str) -> None:
    """Both images under the version and the commit, and they are the ones that were built."""
    script(docker, "push", REGISTRY=f"{published}/people")
    for image in IMAGES:
        tags = ask(published, f"people/{image}/tags/list")["tags"]
        assert len(tags) == 2
        assert __version__ in tags
        built = docker("image", "inspect", "-f", "{{.Id}}", image)
        for tag in tags:
            name = f"{published}/people/{image}:{tag}"
            docker("image", "rm", name)
            docker("pull", "-q", name)
            assert docker("image", "inspect", "-f", "{{.Id}}", name) == built
            docker("image", "rm", name)


def test_one_name_for_every_architecture(
    session_docker: Docker, published: str, tmp_path: Path
) -> None:
    """Pushed one by one, as machines of each build them; joined, each pulls its own."""
    image = "oomkill-test-joined"
    settings = {"REGISTRY": f"{published}/people", "IMAGES": image}
    for arch in ("amd64", "arm64"):
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY arch /\n")
        (tmp_path / "arch").write_text(arch)
        session_docker("build", "-q", f"--platform=linux/{arch}", "-t", image, str(tmp_path))
        script(session_docker, "push", SUFFIX=f"-{arch}", **settings)
    said = script(session_docker, "join", SUFFIXES="-amd64 -arm64", **settings)
    name, _, digest = said.splitlines()[-1].partition("@")
    assert name == f"{published}/people/{image}", said
    for arch in ("amd64", "arm64"):
        session_docker("pull", "-q", f"--platform=linux/{arch}", f"{name}@{digest}")
        asked = ("image", "inspect", "-f", "{{.Architecture}}", f"{name}@{digest}")
        assert session_docker(*asked).strip() == arch
        session_docker("image", "rm", f"{name}@{digest}")  # one digest, one platform
    assert {__version__, f"{__version__}-arm64"} < {
        *ask(published, f"people/{image}/tags/list")["tags"]
    }


def test_base_by_digest_and_another_mirror(docker: Docker, published: str) -> None:
    """As those build who want the same bytes again."""
    name = f"{published}/{BASE}"
    docker("tag", BASE, name)
    docker("push", "-q", name)
    reference = docker("image", "inspect", "-f", "{{index .RepoDigests 0}}", name).strip()
    docker("image", "rm", name)
    assert "@sha256:" in reference
    settings = {"BASE": reference, "APT_MIRROR": mirror.find().archive}
    said = script(docker, "build", BUILD_OPTIONS="--network host", **settings)
    assert all(image in said for image in IMAGES)


def test_clean_removes_what_is_ours(docker: Docker, tmp_path: Path) -> None:
    saved = tmp_path / "images.tar"
    docker("save", "-o", str(saved), *IMAGES)
    docker("tag", BASE, OTHER)
    try:
        docker.start(OTHER, "--network=none", OTHER, "sleep", "600")
        script(docker, "clean")
        left = docker("image", "ls", "--format", "{{.Repository}}").split()
        assert not set(IMAGES) & set(left)
        assert OTHER in left
        assert docker("inspect", "-f", "{{.State.Running}}", OTHER).strip() == "true"
    finally:
        docker.remove_all()
        docker("image", "rm", "-f", OTHER)
        docker("load", "-q", "-i", str(saved))
