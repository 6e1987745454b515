# SPDX-License-Identifier: Apache-2.0
"""Fresh roots of Debian to install packages into, and programs run in them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from ..vm import mirror
from ..vm.packages import cache_dir, digest, locked
from ..vm.roots import inside

# What the .deb depends on, and rpm, which reads and unpacks the .rpm.
INCLUDED = "python3,python3-cffi-backend,python3-markupsafe,rpm"
SECONDS = 900


class Root:
    """A root folder, and what runs in it sees this machine's /proc, /sys and /dev."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *command: str, status: int = 0) -> str:
        """Run it; return what it printed, errors too."""
        done = subprocess.run(
            self.wrap(*command), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def wrap(self, *command: str) -> list[str]:
        """Return the command that runs it there, in an environment of its own."""
        path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        return [*inside(self.folder), "/usr/bin/env", "-i", path, "LC_ALL=C.UTF-8", *command]

    def take(self, file: Path) -> str:
        """Copy a file into it; return its path there."""
        shutil.copy(file, self.folder / "tmp")
        return f"/tmp/{file.name}"

    def ours(self) -> set[str]:
        """Every path that has our name, and all below it."""
        named = [
            path
            for top in ("etc", "run", "usr", "var")
            for path in (self.folder / top).rglob("*oomkill*")
        ]
        found = {path for each in named for path in (each, *each.rglob("*"))}
        return {f"/{path.relative_to(self.folder)}" for path in found}


def fresh_root(
    suite: str,
    folder: Path,
    *also: str,
    prepare: Callable[[Path], None] | None = None,
) -> Root:
    """Copy a root of Debian's ``suite``, which the cache keeps, to ``folder``.

    ``also``: packages that are in it beside those that ours needs. ``prepare`` has done something
    else in it before the cache took it.
    """
    subprocess.run(["cp", "-a", str(made_root(suite, also, prepare)), str(folder)], check=True)
    return Root(folder)


def made_root(
    suite: str,
    also: Sequence[str] = (),
    prepare: Callable[[Path], None] | None = None,
) -> Path:
    """The cache's own, which nobody changes."""
    cache = cache_dir() / "package-roots"
    cache.mkdir(parents=True, exist_ok=True)
    extra = [prepare.__name__] if prepare else []
    kind, included = "+".join((suite, *extra, *also)), ",".join((INCLUDED, *also))
    root = cache / f"{kind}-{digest(included)}"
    with locked(cache / "lock"):
        if not root.exists():
            for stale in cache.glob(f"{kind}-*"):
                shutil.rmtree(stale)
            unfinished = cache / f"{kind}-unfinished"
            command = ["debootstrap", "--variant=minbase", f"--include={included}", suite]
            command += [str(unfinished), mirror.find().archive]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr
            if prepare:
                prepare(unfinished)
            unfinished.rename(root)
    return root
