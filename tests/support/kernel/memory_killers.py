# SPDX-License-Identifier: Apache-2.0
"""Runs the real systemd-oomd and earlyoom in a guest, each as its unit does.

That is in the unit's cgroup, as a user of its own with the unit's capabilities, and in a root
folder of Debian's packages (tests/vm/memory_killers.py). There is no systemd beside them: what
it would tell systemd-oomd, which cgroups to watch, is told here.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.vm import roots

from .cgroups import Cgroup, cgroups
from .processes import DEADLINE

ROOT_VARIABLE = "OOMKILL_TEST_MEMORY_KILLERS"  # set by tests/vm/matrix.py
MEMINFO = Path("/proc/meminfo")
USER = "61234"
OOMD_CONFIG = """[OOM]
SwapUsedLimit=1%
"""


class MemoryKiller:
    """A process of the root folder, in its unit's cgroup."""

    def __init__(self, unit: Cgroup, command: list[str], capabilities: str) -> None:
        root = Path(os.environ[ROOT_VARIABLE])
        as_unit = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
        as_unit += ["--inh-caps", capabilities, "--ambient-caps", capabilities]
        self.process = subprocess.Popen(
            [*roots.inside(root), *as_unit, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=unit.enter,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until_said(self, text: str) -> None:
        """Read what it says, up to a line with that text."""
        assert self.process.stdout is not None
        late = threading.Timer(DEADLINE, self.process.kill)
        late.start()
        said = ""
        while text not in said and (line := self.process.stdout.readline()):
            said += line
        late.cancel()
        assert text in said, f"it never said {text}: {said}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def earlyoom(spare_mib: int) -> Iterator[MemoryKiller]:
    """earlyoom, which kills by SIGKILL at once when so much more than now is used.

    Its percentages are of what processes may have: what is available and what they have.
    """
    fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
    available, used = (int(fields[name].split()[0]) for name in ("MemAvailable", "AnonPages"))
    least = 100 * (available - spare_mib * 1024) / (available + used)
    command = ["/usr/bin/earlyoom", "-m", f"{least:.2f},{least:.2f}", "-r", "0"]
    with (
        cgroups("/system.slice", "/system.slice/earlyoom.service") as (_, unit),
        MemoryKiller(unit, command, "+kill,+ipc_lock") as killer,
    ):
        killer.wait_until_said("SIGKILL when")  # of its settings, before it looks
        yield killer


@contextlib.contextmanager
def systemd_oomd(watched: str) -> Iterator[MemoryKiller]:
    """systemd-oomd, told to act on a cgroup's children when swap is used."""
    root = Path(os.environ[ROOT_VARIABLE])
    for folder in ("run/systemd/oom", "run/systemd/oomd.conf.d"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    os.chown(root / "run/systemd/oom", int(USER), int(USER))
    (root / "run/systemd/oomd.conf.d/test.conf").write_text(OOMD_CONFIG)
    with (
        cgroups("/system.slice", "/system.slice/systemd-oomd.service") as (_, unit),
        _told(root / "run/systemd/io.systemd.ManagedOOM", watched) as told,
        MemoryKiller(unit, ["/usr/lib/systemd/systemd-oomd"], "+kill,+dac_override") as killer,
    ):
        if not told.wait(DEADLINE):
            killer.process.kill()
            raise AssertionError(f"systemd-oomd never asked: {killer.process.communicate()[0]}")
        yield killer


@contextlib.contextmanager
def _told(address: Path, watched: str) -> Iterator[threading.Event]:
    """Be the socket of PID 1 that systemd-oomd asks which cgroups have ManagedOOMSwap=kill."""
    told = threading.Event()
    cgroup = {"mode": "kill", "path": watched, "property": "ManagedOOMSwap"}
    answer = {"parameters": {"cgroups": [cgroup]}, "continues": True}

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        asked = connection.recv(4096)
        assert b"SubscribeManagedOOMCGroups" in asked, asked
        connection.sendall(json.dumps(answer).encode() + b"\0")
        told.set()
        while connection.recv(4096):
            pass
        connection.close()

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        address.chmod(0o666)
        listening.listen()
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield told
    address.unlink()
