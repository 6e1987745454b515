# SPDX-License-Identifier: Apache-2.0
"""Containers of the test's own, and who kills in them: actor.c."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from .cgroups import Cgroup
from .processes import DEADLINE, Hog

SOURCE = Path(__file__).with_name("actor.c")


class Container:
    """PID 1 of a PID namespace of its own, in a cgroup that Docker could have made.

    What waits for it is neither in the namespace nor in the cgroup, as a shim is.
    """

    def __init__(self, program: Path, cgroup: Cgroup, script: str) -> None:
        """``script``: of PID 1."""
        self.cgroup = cgroup
        script = f"namespace enter {cgroup.folder / 'cgroup.procs'} {script}"
        self.outside = Hog(program, None, script)
        assert self.outside.process.stdout is not None
        self.init = int(self.outside.process.stdout.readline())  # pid, as seen from here
        self.outside.ready()

    @property
    def id(self) -> str:
        return self.cgroup.path.rpartition("/")[2]

    def exit_status(self) -> int:
        """Wait for PID 1's end; as a shell has it."""
        return self.outside.process.wait(DEADLINE)

    def close(self) -> None:
        self.outside.close()


@pytest.fixture(scope="session")
def actor_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """actor.c, compiled; or as the environment has it, where a guest has no compiler."""
    if made := os.environ.get("OOMKILL_TEST_ACTOR"):
        return Path(made)
    program = tmp_path_factory.mktemp("actor") / "actor"
    command = ["cc", "-O1", "-Wall", "-Werror", str(SOURCE), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


@pytest.fixture
def container(
    stack: ExitStack, actor_program: Path, make_cgroups: Callable[..., list[Cgroup]]
) -> Callable[..., Container]:
    """Start containers that are gone when the test is over."""

    def start(script: str = "name app ready wait") -> Container:
        *_, cgroup = make_cgroups("/docker", f"/docker/{secrets.token_hex(32)}")
        started = Container(actor_program, cgroup, script)
        stack.callback(started.close)
        return started

    return start


@pytest.fixture
def acts(actor_program: Path) -> Callable[..., subprocess.Popen[str]]:
    """Run actor.c outside of any container, to its end."""

    def run(script: str, cgroup: Cgroup | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(actor_program), *script.split()],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=None if cgroup is None else cgroup.enter,
        )
        assert process.wait(DEADLINE) == 0
        process.communicate()
        return process

    return run
