# SPDX-License-Identifier: Apache-2.0
"""A release made in a clone of this commit, a package index, and a newer Python for an old root."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..vm import mirror, userland
from ..vm.apt import Apt
from ..vm.packages import cache_dir, digest, locked

REPOSITORY = Path(__file__).parents[2]
VERSION = "0.1.0rc1"
SECONDS = 900
PYTHON = "/opt/python/bin/python3"
SUITE = "trixie"
# What a guest boots with, and what the .deb depends on.
UNPACKED = (
    "base-files", "base-passwd", "bash", "busybox-static", "coreutils", "dash", "debianutils",
    "diffutils", "findutils", "grep", "gzip", "hostname", "iproute2", "kmod", "libc-bin",
    "login", "mawk", "mount", "passwd", "procps", "sed", "util-linux",
    "python3", "python3-cffi-backend", "python3-markupsafe",
)  # fmt: skip
# What newer_python() builds with.
TOOLS = ("gcc", "libc6-dev", "libffi-dev", "make", "xz-utils", "zlib1g-dev")


def make(folder: Path, source: Path = REPOSITORY) -> Path:
    """Clone ``source``, cut the version there, make the release; return its folder of files."""
    subprocess.run(["git", "clone", "-q", str(source), str(folder)], check=True)
    if source == REPOSITORY:
        subprocess.run(["make", "-s", "version", f"VERSION={VERSION}"], cwd=folder, check=True)
        name = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
        subprocess.run(["git", *name, "commit", "-q", "-am", VERSION], cwd=folder, check=True)
    done = subprocess.run(
        ["tools/release.sh", VERSION],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout
    return folder / "dist"


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files, made now; or those in the folder that the variable names."""
    if given := os.environ.get("OOMKILL_TEST_RELEASE"):
        return Path(given)
    return make(tmp_path_factory.mktemp("release") / "clone")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def index(folder: Path, *wheels: Path) -> Iterator[str]:
    """Serve wheels as a package index has them; give its address."""
    for wheel in wheels:
        project = folder / wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
        project.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, project)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def newer_python(root: Path) -> None:
    """Build a Python in it that is newer than the root's own, from Debian's source of it."""
    folder = root / "tmp/python"
    folder.mkdir()
    sources = [str(REPOSITORY / "tools/wheel/sources.sh"), str(folder), "python3.13"]
    subprocess.run(sources, check=True)
    script = """set -e
    cd /tmp/python
    tar -xf *.orig.tar.*
    cd */
    ./configure -q --prefix=/opt/python --without-doc-strings --disable-test-modules OPT=-O1
    make -s -j2
    make -s install
    """
    command = ["chroot", str(root), "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    done = subprocess.run(
        [*command, "/bin/sh", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    shutil.rmtree(folder)


def other_root(arch: str) -> Path:
    """A root of another architecture with what the .deb needs, and a guest: nothing was run for it.

    The cache's own, which nobody changes.
    """
    cache = cache_dir() / "package-roots"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{SUITE}+{arch}-{digest(UNPACKED)}"
    with locked(cache / "lock"):
        if not root.exists():
            with tempfile.TemporaryDirectory(prefix=f".{arch}-", dir=cache) as name:
                apt = Apt(Path(name, "apt"), mirror.find(), (SUITE,), arch)
                apt.update()
                userland.unpack(apt, UNPACKED, Path(name, "root"))
                Path(name, "root").rename(root)
    return root
