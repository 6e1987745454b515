# SPDX-License-Identifier: Apache-2.0
"""Privileges end for good, in a process of its own. As root, with real hooks: tests/kernel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from container_oomkill.system.privileges import (
    CAP_DAC_READ_SEARCH,
    missing_capabilities,
    spare_from_oom,
)

DROPPED = """
import os
from container_oomkill.system import privileges
privileges.drop_process()
with open("/proc/self/status") as file:
    print(file.read())
privileges.drop_thread()
with open("/proc/thread-self/status") as file:
    print(file.read())
try:
    os.execv("/bin/true", ["true"])
except PermissionError:
    print("no other program")
"""


def test_what_is_left_of_a_process_and_of_a_serving_thread() -> None:
    command = [sys.executable, "-c", DROPPED]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.split(":\t") for line in out.splitlines() if ":\t" in line]
    first = dict(reversed(lines))
    last = dict(lines)
    assert int(first["CapEff"], 16) | CAP_DAC_READ_SEARCH == CAP_DAC_READ_SEARCH
    assert (first["NoNewPrivs"], first["Seccomp"]) == ("1", "2")
    assert int(last["CapPrm"], 16) == int(last["CapEff"], 16) == 0
    assert out.endswith("no other program\n")


CONNECTING = """
import os, socket, sys
from container_oomkill.system import privileges
path = sys.argv[1]
listening = socket.socket(socket.AF_UNIX)
listening.bind(path)
listening.listen()
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(path + ".notify")
port = socket.create_server(("127.0.0.1", 0))
outside = socket.socket()  # as one that was open before
privileges.drop_process(clients=sys.argv[2] == "clients")

def tried(what):
    try:
        what()
    except PermissionError:
        return "denied"
    return "done"

print(tried(lambda: socket.socket(socket.AF_UNIX).connect(path)))
print(tried(lambda: outside.connect(port.getsockname())))
print(tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
print(tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)))
os.environ["NOTIFY_SOCKET"] = path + ".notify"
from container_oomkill.system.sd_notify import Notifier
Notifier().ready()
print(manager.recv(100).decode().strip())
"""


@pytest.mark.parametrize(("clients", "answer"), [("", "denied"), ("clients", "done")])
def test_who_asks_nobody_connects_to_nobody(clients: str, answer: str, tmp_path: Path) -> None:
    """Not to an engine's socket either, which is as good as root; the manager is still told."""
    command = [sys.executable, "-c", CONNECTING, str(tmp_path / "s"), clients]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [answer] * 4 + ["READY=1"]


@pytest.mark.parametrize(("before", "after"), [("0\n", "-999"), ("-1000\n", "-1000\n")])
def test_the_score_is_never_raised(before: str, after: str, tmp_path: Path) -> None:
    file = tmp_path / "self/oom_score_adj"
    file.parent.mkdir()
    file.write_text(before)
    spare_from_oom(-999, proc=str(tmp_path))
    assert file.read_text()[: len(after)] == after


def test_a_score_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    spare_from_oom(-999, proc=str(tmp_path))


@pytest.mark.parametrize(
    ("bits", "missing"),
    [
        (0, ["CAP_BPF", "CAP_PERFMON"]),
        (1 << 38, ["CAP_BPF"]),
        (1 << 39, ["CAP_PERFMON"]),
        (3 << 38, []),
        (1 << 21, []),  # CAP_SYS_ADMIN has them in it
    ],
)
def test_which_are_missing(bits: int, missing: list[str], tmp_path: Path) -> None:
    file = tmp_path / "self/status"
    file.parent.mkdir()
    file.write_text(f"Name:\tx\nCapEff:\t{bits:016x}\n")
    assert missing_capabilities(str(tmp_path)) == missing
