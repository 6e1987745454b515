# SPDX-License-Identifier: Apache-2.0
"""What a process may still do once it has attached, thread by thread, by /proc/PID/task."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from ..support.kernel.exporter import start
from ..support.kernel.processes import Recorder
from ..support.waiting import eventually

CAP_DAC_READ_SEARCH = 1 << 2
CAP_SYS_RESOURCE = 1 << 24
FILTER = "2"  # SECCOMP_MODE_FILTER
# Numbers of system calls: asm/unistd_64.h, asm-generic/unistd.h.
CALLS = {
    "x86_64": {
        "bpf": 321, "perf_event_open": 298, "execve": 59, "execveat": 322, "ptrace": 101,
        "process_vm_readv": 310, "mount": 165, "setns": 308, "unshare": 272, "fsmount": 432,
        "init_module": 175, "kexec_load": 246, "kexec_file_load": 320, "clock_adjtime": 305,
        "adjtimex": 159, "io_uring_setup": 425, "getpid": 39, "clone": 56, "clone3": 435,
    },
    "aarch64": {
        "bpf": 280, "perf_event_open": 241, "execve": 221, "execveat": 281, "ptrace": 117,
        "process_vm_readv": 270, "mount": 40, "setns": 268, "unshare": 97, "fsmount": 432,
        "init_module": 105, "kexec_load": 104, "kexec_file_load": 294, "clock_adjtime": 266,
        "adjtimex": 171, "io_uring_setup": 425, "getpid": 172, "clone": 220, "clone3": 435,
    },
}[platform.machine()]  # fmt: skip
ALLOWED = ("getpid", "clone", "clone3")


def rights(pid: int) -> list[dict[str, str]]:
    """The lines of each thread's status; the process's first thread comes first."""
    found = []
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        lines = (task / "status").read_text().splitlines()
        found.append({name: value.strip() for name, _, value in (x.partition(":") for x in lines)})
    return found


def assert_confined(threads: list[dict[str, str]], *held: int) -> None:
    """Each thread has one of the sets of capabilities, and no way back."""
    assert sorted(int(each["CapEff"], 16) for each in threads) == sorted(held)
    for each in threads:
        assert each["CapPrm"] == each["CapEff"]
        assert int(each["CapInh"], 16) == int(each["CapAmb"], 16) == 0
        assert each["NoNewPrivs"] == "1"
        assert each["Seccomp"] == FILTER


def test_the_probe(hook: str) -> None:
    with Recorder(hook) as recorder:
        eventually(lambda: len(rights(recorder.process.pid)) >= 2)
        assert_confined(rights(recorder.process.pid), *[CAP_DAC_READ_SEARCH] * 2)
        score = Path(f"/proc/{recorder.process.pid}/oom_score_adj").read_text()
        ours = int(rights(os.getpid())[0]["CapEff"], 16)
        before = Path("/proc/self/oom_score_adj").read_text()
        assert score == ("-999\n" if ours & CAP_SYS_RESOURCE else before)


def test_the_exporter(hook: str) -> None:
    """The thread of the web server has nothing left at all; the others read state, and the log."""
    with start(hook) as process:
        try:
            assert process.stderr is not None
            assert "serving on" in process.stderr.readline()
            eventually(lambda: len(rights(process.pid)) == 4)
            assert_confined(rights(process.pid), 0, *[CAP_DAC_READ_SEARCH] * 3)
        finally:
            process.kill()


def test_for_debugging_they_can_be_kept(hook: str) -> None:
    with Recorder(hook, "--keep-privileges") as recorder:
        fields = rights(recorder.process.pid)[0]
        assert int(fields["CapEff"], 16) & ~CAP_DAC_READ_SEARCH
        assert fields["Seccomp"] != FILTER


def test_denied_system_calls_are_denied() -> None:
    """Each is tried with nonsense: EPERM is the filter's word, anything else is the kernel's."""
    denied = {name: number for name, number in CALLS.items() if name not in ALLOWED}
    script = f"""
import ctypes, errno, os
from container_oomkill.system import privileges
privileges.drop_process()
libc = ctypes.CDLL(None, use_errno=True)
for name, number in {denied}.items():
    libc.syscall(number, -1, 0, 0, 0, 0, 0)
    assert ctypes.get_errno() == errno.EPERM, name
assert os.getpid() == libc.syscall({CALLS["getpid"]})
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_way_into_a_namespace_of_its_own() -> None:
    """There a process would have every capability again; threads are still to be had."""
    script = f"""
import ctypes, errno, os, signal, threading
from container_oomkill.system import privileges
privileges.drop_process()
libc = ctypes.CDLL(None, use_errno=True)
for kind in (17, 25, 26, 27, 28, 29, 30):  # CLONE_NEW*, as bits
    child = libc.syscall({CALLS["clone"]}, 1 << kind | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    assert (child, ctypes.get_errno()) == (-1, errno.EPERM), kind
libc.syscall({CALLS["clone3"]}, 0, 0)
assert ctypes.get_errno() == errno.ENOSYS
ran = threading.Event()
threading.Thread(target=ran.set).start()
assert ran.wait(60)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
