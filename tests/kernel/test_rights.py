# SPDX-License-Identifier: Apache-2.0
"""The privileges that a process keeps after attaching, thread by thread, from /proc/PID/task."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.kernel import as_user
from ..support.kernel.exporter import start
from ..support.kernel.needs import lacking
from ..support.kernel.processes import Recorder
from ..support.kernel.rights import FILTER, rights
from ..support.waiting import eventually

CAP_DAC_READ_SEARCH = 1 << 2
CAP_SYS_RESOURCE = 1 << 24
# Numbers of system calls: asm/unistd_64.h, asm-generic/unistd.h.
CALLS = {
    "x86_64": {
        "bpf": 321, "perf_event_open": 298, "execve": 59, "execveat": 322, "ptrace": 101,
        "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd":
        438, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "fsopen":
        430, "fsmount": 432, "move_mount": 429, "open_tree": 428, "setns": 308, "unshare":
        272, "open_by_handle_at": 304, "fanotify_init": 300, "init_module": 175,
        "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load":
        320, "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "syslog": 103,
        "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
        "sethostname": 170, "setdomainname": 171, "keyctl": 250, "add_key": 248,
        "request_key": 249, "userfaultfd": 323, "io_uring_setup": 425, "getpid": 39,
        "clone": 56, "clone3": 435,
    },
    "aarch64": {
        "bpf": 280, "perf_event_open": 241, "execve": 221, "execveat": 281, "ptrace": 117,
        "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "pidfd_getfd":
        438, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "fsopen": 430,
        "fsmount": 432, "move_mount": 429, "open_tree": 428, "setns": 268, "unshare": 97,
        "open_by_handle_at": 265, "fanotify_init": 262, "init_module": 105,
        "finit_module": 273, "delete_module": 106, "kexec_load": 104, "kexec_file_load":
        294, "reboot": 142, "swapon": 224, "swapoff": 225, "acct": 89, "syslog": 116,
        "settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266,
        "sethostname": 161, "setdomainname": 162, "keyctl": 219, "add_key": 217,
        "request_key": 218, "userfaultfd": 282, "io_uring_setup": 425, "getpid": 172,
        "clone": 220, "clone3": 435,
    },
}[platform.machine()]  # fmt: skip
ALLOWED = ("getpid", "clone", "clone3")


def rights_of(pid: int, threads: int) -> list[dict[str, str]]:
    """Wait until it has that many threads; what it starts with has others, which end."""
    found: list[dict[str, str]] = eventually(
        lambda: each if len(each := rights(pid)) == threads else None
    )
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
        assert_confined(rights_of(recorder.process.pid, 2), *[CAP_DAC_READ_SEARCH] * 2)
        score = Path(f"/proc/{recorder.process.pid}/oom_score_adj").read_text()
        ours = int(rights(os.getpid())[0]["CapEff"], 16)
        before = Path("/proc/self/oom_score_adj").read_text()
        assert score == ("-999\n" if ours & CAP_SYS_RESOURCE else before)


def readers(hook: str) -> int:
    """How many threads of an exporter read state, or write a log.

    Of what is stuck there is one where the flight recorder runs, which looks for it.
    """
    return 5 if lacking("flight recorder", hook) is None else 4


def test_the_exporter(hook: str) -> None:
    """The thread of the web server has nothing left at all; the others read state, and the logs."""
    with start(hook) as process:
        try:
            assert process.stderr is not None
            assert "listening on" in process.stderr.readline()
            held = [CAP_DAC_READ_SEARCH] * readers(hook)
            assert_confined(rights_of(process.pid, 1 + len(held)), 0, *held)
        finally:
            process.kill()


USER = 65534


@pytest.mark.needs("perf_event_open")
def test_as_a_user_of_its_own(hook: str) -> None:
    """As the systemd unit has it: after attaching it is nobody's root, and reads state alone."""
    wrap = [sys.executable, as_user.__file__, str(USER)]
    with start(hook, wrap=wrap) as process:
        try:
            assert process.stderr is not None
            assert "listening on" in process.stderr.readline()
            held = [CAP_DAC_READ_SEARCH] * readers(hook)
            threads = rights_of(process.pid, 1 + len(held))
            assert_confined(threads, 0, *held)
            assert {each["Uid"] for each in threads} == {"\t".join([str(USER)] * 4)}
        finally:
            process.kill()


REACHED = """
import os, socket, sys
from container_oomkill.system import privileges
path = sys.argv[1]
listening = socket.socket(socket.AF_UNIX)
listening.bind(path + "/socket")
listening.listen()
os.chmod(path + "/socket", 0o600)
with open(path + "/file", "w"):
    os.chmod(path + "/file", 0o600)
if sys.argv[2] == "user":
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
privileges.drop_process()

def tried(what):
    try:
        what()
    except PermissionError:
        return False
    return True

print(tried(lambda: os.open(path + "/file", os.O_WRONLY)))
print(tried(lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)))
print(tried(lambda: os.open(path + "/new", os.O_WRONLY | os.O_CREAT)))
print(tried(lambda: os.kill(os.getppid(), 0)))
print(tried(lambda: socket.socket(socket.AF_UNIX).connect(path + "/socket")))
"""


@pytest.mark.parametrize("who", ["root", "user"])
def test_what_uid_0_could_still_reach(who: str, tmp_path: Path) -> None:
    """The list in docs/security.md: files, settings and processes of root's, but no socket.

    Opened and not written to; a user reaches none of them.
    """
    command = [sys.executable, "-c", REACHED, str(tmp_path), who]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    reached = [str(who == "root")] * 4
    assert done.stdout.split() == [*reached, "False"]


def test_for_debugging_they_can_be_kept(hook: str) -> None:
    with Recorder(hook, "--keep-privileges") as recorder:
        fields = rights(recorder.process.pid)[0]
        assert int(fields["CapEff"], 16) & ~CAP_DAC_READ_SEARCH
        assert fields["Seccomp"] != FILTER


def confined(script: str) -> str:
    """Run it in a process that has dropped its privileges; return what it prints."""
    before = "import ctypes, errno, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    command = [sys.executable, "-c", before + script]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


DENIED = f"""
def denied():
    for name, number in { {name: CALLS[name] for name in CALLS if name not in ALLOWED} }.items():
        ctypes.set_errno(0)
        result = libc.syscall(number, -1, 0, 0, 0, 0, 0)
        assert (result, ctypes.get_errno()) == (-1, errno.EPERM), name
    assert os.getpid() == libc.syscall({CALLS["getpid"]})
"""


def test_denied_system_calls_are_denied() -> None:
    """Each is tried with nonsense: EPERM is the filter's word, anything else is the kernel's."""
    confined(
        f"""{DENIED}
from container_oomkill.system import privileges
privileges.drop_process()
denied()
"""
    )


def test_the_list_here_is_the_list_there() -> None:
    """The numbers above are the kernel headers'; the names, all of privileges.c."""
    source = (Path(__file__).parents[2] / "src/container_oomkill/system/privileges.c").read_text()
    listed = source.partition("denied[] = {")[2].partition("};")[0]
    assert re.findall(r"SCMP_SYS\((\w+)\)", listed) == [
        name for name in CALLS if name not in ALLOWED
    ]


def test_they_are_denied_to_a_thread_that_was_there_before() -> None:
    confined(
        f"""{DENIED}
import threading
from container_oomkill.system import privileges
dropped, failures = threading.Event(), []
def thread():
    dropped.wait(60)
    try:
        denied()
    except AssertionError as error:
        failures.append(error)
there = threading.Thread(target=thread)
there.start()
privileges.drop_process()
dropped.set()
there.join()
assert not failures, failures
"""
    )


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="a 64-bit process has no other system calls here"
)
def test_the_numbers_of_other_abis_are_denied() -> None:
    """x32's getpid() and, where the kernel has it, i386's."""
    said = confined(
        """
import mmap
from container_oomkill.system import privileges
code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b8 14000000 cd80 c3"))  # mov $20, %eax; int $0x80; ret
int80 = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
child = os.fork()
if not child:
    os._exit(int80() != os.getpid())
known = os.waitpid(child, 0)[1] == 0
privileges.drop_process()
assert (libc.syscall(0x40000000 | 39), ctypes.get_errno()) == (-1, errno.EPERM)
if known:
    assert int80() == -errno.EPERM
print("i386" if known else "no i386")
"""
    )
    assert said in ("i386\n", "no i386\n")
    print(f"this kernel has {said}")


def test_a_kernel_without_seccomp() -> None:
    """As one looks from below a filter that answers in its place; capabilities are dropped."""
    script = """
import ctypes, errno, os, sys

class Compared(ctypes.Structure):  # struct scmp_arg_cmp
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64)]
    _fields_ += [("b", ctypes.c_uint64)]

seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
allow, refuse, equal = 0x7FFF0000, 0x00050000, 4
refuses = ctypes.c_void_p(seccomp.seccomp_init(allow))
set_seccomp = Compared(0, equal, 22)  # prctl(PR_SET_SECCOMP, ...)
no, unknown = errno.ENOSYS, errno.EINVAL
for name, error, arguments in ((b"seccomp", no, []), (b"prctl", unknown, [set_seccomp])):
    call = seccomp.seccomp_syscall_resolve_name(name)
    array = (Compared * len(arguments))(*arguments)
    count = len(arguments)
    assert not seccomp.seccomp_rule_add_array(refuses, refuse | error, call, count, array)
assert not seccomp.seccomp_load(refuses)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""
    after = """
from container_oomkill.system import privileges
privileges.drop_process()
print(open("/proc/self/status").read())
"""
    command = [sys.executable, "-c", script, after]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    words = "this kernel has no seccomp: system calls are not filtered"
    assert done.stderr == f"container-oomkill: {words}\n"
    assert int(done.stdout.partition("CapEff:")[2].split()[0], 16) & ~CAP_DAC_READ_SEARCH == 0


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
