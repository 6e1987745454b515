# SPDX-License-Identifier: Apache-2.0
"""The images of the other architecture: built here under emulation, run in a guest of it.

    make test-images ARCH=arm64

No part of the other tests: half an hour. The guest's kernel runs what is in the exporter's image,
unpacked, as that machine would; the engine that built it has another kernel.
"""

from __future__ import annotations

import json
import platform
import subprocess
import tarfile
from pathlib import Path

import pytest

from ..support.images.engine import BASE, BUILD_SECONDS, EXPORTER, IMAGES, REPOSITORY, Docker
from ..vm import guest, mirror, packages, table, userland

ARCH = next(name for machine, name in table.ARCHES.items() if machine != platform.machine())
KERNEL = "6.12"
EMULATED = 4 * BUILD_SECONDS


@pytest.fixture(scope="module")
def foreign(session_docker: Docker) -> str:
    """What `make image` prints for them."""
    userland.register_emulation()
    base = [str(REPOSITORY / "tools/image-base.sh"), mirror.find().archive, ARCH]
    subprocess.run(base, env=session_docker.environ, check=True, timeout=BUILD_SECONDS)
    environ = {"BUILD_OPTIONS": "--network host", **session_docker.environ}
    environ |= {"PLATFORM": f"linux/{ARCH}", "BASE": f"{BASE}-{ARCH}", "BUILD_BASE": BASE}
    build = [str(REPOSITORY / "tools/image.sh"), "build"]
    done = subprocess.run(
        build, env=environ, stdout=subprocess.PIPE, text=True, timeout=EMULATED, check=True
    )
    return done.stdout


def test_built_for_it(foreign: str, session_docker: Docker) -> None:
    print(foreign)
    for image in IMAGES:
        found = session_docker("image", "inspect", "-f", "{{.Architecture}}", image).strip()
        assert found == ARCH
        assert f"{image} " in foreign


@pytest.mark.usefixtures("foreign")
def test_the_exporter_in_a_guest(session_docker: Docker, tmp_path: Path) -> None:
    """Its contents start there, attach, and serve a real kill."""
    archive = tmp_path / "contents.tar"
    session_docker("create", "--name", "oomkill-foreign", f"--platform=linux/{ARCH}", EXPORTER)
    session_docker("export", "oomkill-foreign", "-o", str(archive))
    session_docker("rm", "oomkill-foreign")
    served = in_guest(archive, tmp_path / "share")
    print(served)
    assert served["hook"] == "fentry"
    assert served["kills"] == 1
    assert served["limit_bytes"] == served["asked_limit_bytes"]
    assert served["victim"] == served["killed"]


def in_guest(archive: Path, share: Path) -> dict[str, object]:
    """What serving.py saw there, of an image's contents."""
    root = userland.ensure(ARCH)
    (kernel,) = packages.ensure(table.choose(KERNEL, ARCH))
    contents = share / "image"
    contents.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        packed.extractall(contents, filter="fully_trusted")
    command = [root.python, "-m", "tests.support.images.serving", str(contents), str(root.hog)]
    ended = guest.run(kernel, command, share=share, timeout=900, userland=root)
    assert ended.returncode == 0, ended.output
    seen: dict[str, object] = json.loads(ended.output.splitlines()[-1])
    return seen
