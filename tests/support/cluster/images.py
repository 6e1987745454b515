# SPDX-License-Identifier: Apache-2.0
"""Takes this tree, gives archives of its images and of the hog's, for `ctr images import`.

Ours are built by the Dockerfile, in a Docker of the tests' own, and kept until a source changes.
The base image is kept for good.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from ...vm.packages import cache_dir, locked
from ..images.engine import BUILD_SECONDS, EXPORTER, FULL, REPOSITORY, docker
from ..kernel.processes import compile_hog
from ..runtimes.image import write_archive

SOURCES = ["Dockerfile", "LICENSES", "bpf", "build.py", "deploy/docker", "docs", "pyproject.toml"]
SOURCES += ["setup.py", "src", "tools/image_modules.py", "tools/image_root.py"]
KEPT = 4  # archives, of that many states of the sources


def ensure() -> Path:
    """Return the exporters' archive, as `docker save` writes it."""
    cache = cache_dir() / "images"
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / f"{_digest()}.tar"
    if archive.exists():
        archive.touch()
        return archive
    with locked(cache / "lock"):
        if not archive.exists():
            print("building the images: minutes", flush=True)
            _build(archive)
        archive.touch()
        kept = sorted(cache.glob("*.tar"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-KEPT]:
            old.unlink()
    return archive


def hog(folder: Path) -> Path:
    """Return the archive of an image that holds the hog alone; it is the pods' sandbox, too."""
    program = compile_hog(folder / "hog", "-static")
    return write_archive(folder / "hog.tar", program, platform.machine())


def _digest() -> str:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *SOURCES]
    names = subprocess.run(listed, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    found = hashlib.sha256()
    for name in sorted(set(names.stdout.splitlines())):
        path = REPOSITORY / name
        if path.is_file():
            found.update(f"{name}\0{path.stat().st_mode & 0o111}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def _build(archive: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="oomkill-images-", dir="/tmp"))
    part = archive.with_suffix(".part")
    try:
        with docker(folder, archive.parent / "base") as engine:
            environ = {"BUILD_OPTIONS": "--network host", **os.environ, **engine.environ}
            build = [str(REPOSITORY / "tools/image.sh"), "build"]
            subprocess.run(build, env=environ, timeout=BUILD_SECONDS, check=True)
            engine("save", EXPORTER, FULL, "-o", str(part))
        part.rename(archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
