# SPDX-License-Identifier: Apache-2.0
"""What is in the images, how big they are, and that the same sources give the same layers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from container_oomkill import __version__

from ..support.images.engine import BUILD_SECONDS, EXPORTER, FULL, IMAGES, PROBE, REPOSITORY, Docker

Contents = dict[str, dict[str, tarfile.TarInfo]]

# MB as engines print them: uncompressed, compressed.
GOALS = {PROBE: (20.0, 10.0), EXPORTER: (25.0, 10.0), FULL: (30.0, 12.0)}
SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "toybox"}
MANAGERS = {"apt", "apt-get", "dpkg", "dpkg-query", "rpm", "apk", "pip", "pip3", "easy_install"}
BUILDERS = {"cc", "gcc", "clang", "ld", "as", "make", "c++", "g++", "llc", "llvm-strip"}
PROGRAMS = {"/usr/bin/python3.13", "/usr/bin/container-oomkill"}
TAKEN = [".dockerignore", "Dockerfile", "LICENSES", "README.md", "bpf", "build.py", "docs"]
TAKEN += ["deploy/docker", "pyproject.toml", "setup.py", "src", "tools"]
TOP = {"/", "/usr", "/etc", "/var", "/lib64"}

each_image = pytest.mark.parametrize("image", IMAGES)


@each_image
def test_sizes(image: str, built_images: str) -> None:
    [line] = [line for line in built_images.splitlines() if line.startswith(f"{image} ")]
    size, packed = map(float, re.findall(r"([\d.]+) MB", line))
    most, most_packed = GOALS[image]
    assert size <= most
    assert packed <= most_packed


@each_image
def test_no_program_but_ours(image: str, image_contents: Contents) -> None:
    files = [path for path, each in image_contents[image].items() if not each.isdir()]
    names = {path.rpartition("/")[2] for path in files}
    assert not names & (SHELLS | MANAGERS | BUILDERS)
    executable = {
        path
        for path, each in image_contents[image].items()
        if each.isreg() and each.mode & 0o111 and ".so" not in path
    }
    assert executable == PROGRAMS


@each_image
def test_nothing_setuid_nothing_to_write_to(image: str, image_contents: Contents) -> None:
    for path, each in image_contents[image].items():
        assert each.isdir() or each.isreg() or each.issym(), path
        assert (each.uid, each.gid) == (0, 0), path
        assert each.issym() or not each.mode & 0o7222, f"{path} {each.mode:o}"


@each_image
def test_nothing_that_builds(image: str, image_contents: Contents) -> None:
    wrong = [
        path
        for path in image_contents[image]
        if re.search(r"\.(h|a|o|c|py)$|/(include|src)/", path)
    ]
    assert [path for path in wrong if not path.endswith("/oomkill.bpf.o")] == []
    folders = {"/" + path.split("/")[1] for path in image_contents[image]}
    assert folders <= TOP
    assert not any(
        re.search(r"/(ensurepip|venv|idlelib|tkinter|test|tests)/", path)
        for path in image_contents[image]
    )


@each_image
def test_papers(image: str, image_contents: Contents) -> None:
    """Every package has its licence, and is known to those who scan images."""
    paths = image_contents[image]
    packages = {path.rpartition("/")[2] for path in paths if "/status.d/" in path}
    assert {"libc6", "python3.13-minimal", "libbpf1", "libseccomp2"} <= packages
    assert all(f"/usr/share/doc/{package}" in paths for package in packages)
    assert sum("container_oomkill-" in path and "LICENSES" in path for path in paths) >= 3
    text = (REPOSITORY / f"dist/{image}.spdx.json").read_text()
    document: dict[str, Any] = json.loads(text)
    assert document["spdxVersion"].startswith("SPDX-2")
    named = {each["name"] for each in document["packages"]}
    assert {"container-oomkill", "cffi", "pyelftools", *packages} <= named


def test_each_has_what_it_needs_and_no_more(image_contents: Contents) -> None:
    probe, exporter, full = (image_contents[image] for image in IMAGES)
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    assert certificates in full
    assert certificates not in exporter
    assert not any("libcrypto" in path for path in probe)
    assert not any("msgspec" in path for path in exporter)
    assert any("msgspec" in path for path in full)
    assert not any("sqlite" in path for path in full)
    assert set(probe) < set(exporter) < set(full)


@each_image
def test_labels(image: str, docker: Docker) -> None:
    [found] = json.loads(docker("image", "inspect", image))
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in found["Config"]["Labels"].items()
    }
    assert labels["title"] == image
    assert {"licenses", "description", "revision"} <= set(labels)
    assert labels["version"] == __version__


def test_the_same_again(docker: Docker, tmp_path: Path) -> None:
    """Every stage anew, of the same sources in another folder, gives the same layers.

    Twice without the cache: it knows a layer by its contents, and has the times of its first.
    """
    for name in TAKEN:
        origin, copy = REPOSITORY / name, tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy)
        else:
            shutil.copy(origin, copy)
    found = []
    for _ in range(2):
        environ = {**docker.environ, "BUILD_OPTIONS": "--network host --no-cache"}
        build = [str(tmp_path / "tools/image.sh"), "build"]
        subprocess.run(build, env=environ, timeout=BUILD_SECONDS, check=True)
        found.append([_layers(docker, image) for image in IMAGES])
    assert found[0] == found[1]


def _layers(docker: Docker, image: str) -> list[str]:
    layers: list[str] = json.loads(
        docker("image", "inspect", "-f", "{{json .RootFS.Layers}}", image)
    )
    return layers
