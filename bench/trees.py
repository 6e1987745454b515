# SPDX-License-Identifier: Apache-2.0
"""Two builds side by side: this one, and the one that it is compared with, from its commit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]
BUILT = HERE / "build" / "bench"
RUN = "from container_oomkill.__main__ import main; raise SystemExit(main())"


class Tree:
    """A checked-out and built commit, run by this Python and its packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # As a user's Python: it keeps what it has compiled.
        self.environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self.environ["PYTHONPATH"] = f"{folder / 'src'}:{folder}"

    def command(self, *argv: str) -> list[str]:
        """The product's command line."""
        return [sys.executable, "-c", RUN, *argv]

    def python(self, code: str, *argv: str) -> str:
        """What a piece of Python prints that is run in it."""
        command = [sys.executable, "-c", code, *argv]
        done = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environ,
            cwd=self.folder,
        )
        return done.stdout


def base(commit: str) -> Tree:
    """Check it out below build/, and build its BPF object and extensions there, once."""
    name = _git("rev-parse", "--short=12", f"{commit}^{{commit}}")
    folder = BUILT / name
    tree = Tree(folder)
    if not (folder / "built").exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            _git("worktree", "prune")
            _git("worktree", "add", "--detach", "--force", str(folder), name)
        for step in (
            ("build.py", "object", "src/container_oomkill/oomkill.bpf.o"),
            ("setup.py", "-q", "build_ext", "--inplace"),
        ):
            subprocess.run([sys.executable, *step], check=True, cwd=folder, env=tree.environ)
        (folder / "built").touch()
    return tree


def _git(*argv: str) -> str:
    done = subprocess.run(["git", *argv], check=True, stdout=subprocess.PIPE, text=True, cwd=HERE)
    return done.stdout.strip()
