# SPDX-License-Identifier: Apache-2.0
"""The command as a user meets it: what it prints, and how it ends."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from container_oomkill.probe import object_file

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.command import assert_refused, run
from ..support.kernel.processes import COMMAND, DEADLINE, Hog, Recorder
from ..support.waiting import eventually

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

BPF = {"x86_64": 321, "aarch64": 280}  # asm/unistd_64.h, asm-generic/unistd.h
BPF_PROG_GET_FD_BY_ID = 13  # include/uapi/linux/bpf.h


def programs(pid: int) -> set[int]:
    """The ids of the BPF programs that a process holds, as its descriptors show them."""
    found = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile: it has one open while it starts
            text = info.read_text()
            found |= {int(number) for number in re.findall(r"(?m)^prog_id:\s+(\d+)$", text)}
    return found


def is_loaded(program: int) -> bool:
    """Whether the kernel has a program, whoever holds it."""
    libc = ctypes.CDLL(None, use_errno=True)
    which = struct.pack("III", program, 0, 0).ljust(128, b"\0")
    fd = libc.syscall(BPF[platform.machine()], BPF_PROG_GET_FD_BY_ID, which, len(which))
    if fd >= 0:
        os.close(fd)
        return True
    assert ctypes.get_errno() == errno.ENOENT
    return False


@pytest.mark.needs("no emulation")
def test_count_ends_it(make_cgroups: MakeCgroups, hog: StartHog, hook: str) -> None:
    (cgroup,) = make_cgroups("/oomkill-count")
    cgroup.limit(32)
    with Recorder(hook, "--count", "2") as recorder:
        pids = []
        for _ in range(2):
            started = hog(cgroup, "anon 64")
            assert started.was_killed()
            pids.append(started.pid)
        assert recorder.process.wait(DEADLINE) == 0
        told = recorder.rest()
        assert len(told) == 2  # one may be of somebody else on this machine
        ours = [each.pid for each in told if each.ours]
        assert ours == pids[: len(ours)]
        assert recorder.errors() == ""


@pytest.mark.needs("no emulation")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_detaches(hook: str, number: signal.Signals) -> None:
    with Recorder(hook) as recorder:
        loaded = programs(recorder.process.pid)
        assert loaded
        assert all(map(is_loaded, loaded))
        recorder.process.send_signal(number)
        assert recorder.process.wait(DEADLINE) == 0
        assert recorder.errors() == ""
    eventually(lambda: not any(map(is_loaded, loaded)))  # freed when no CPU may be in one


@pytest.mark.needs("no emulation")
def test_a_closed_pipe_ends_it_cleanly(hook: str) -> None:
    """Even while nothing is killed: `probe | head -1` must not hang."""
    with Recorder(hook, reading=False) as recorder:
        assert recorder.process.stdout is not None
        recorder.process.stdout.close()
        assert recorder.process.wait(DEADLINE) == 0
        assert recorder.errors() == ""
        recorder.process.stdout = None


@pytest.mark.needs("no emulation")
@pytest.mark.parametrize("output", ["text", "logfmt", "json"])
def test_each_format_and_replay(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str, output: str, tmp_path: Path
) -> None:
    (cgroup,) = make_cgroups("/oomkill-format")
    cgroup.limit(32)
    recording = tmp_path / "kills"
    with Recorder(hook) as recorder:
        assert hog(cgroup, "name glutton anon 64").was_killed()
        record = recorder.record()
    recording.write_text(json.dumps(record) + "\n")
    done = run("replay", str(recording), "-o", output)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "glutton" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 100 or output != "text"
    if output == "json":
        assert json.loads(done.stdout) == record


@pytest.mark.needs("no emulation")
def test_without_privileges(tmp_path: Path) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    nobody += ["--bounding-set=-all"]
    del tmp_path
    assert_refused(run("probe", wrap=nobody), 3, "no hook can be attached", "not permitted")
    done = run("doctor", wrap=nobody)
    assert done.returncode == 3
    assert "FAILED: no hook attaches" in done.stdout
    assert "--cap-add BPF" in done.stdout
    report = json.loads(run("doctor", "-o", "json", wrap=nobody).stdout)
    assert report["can_attach"] is False
    assert report["findings"]["privileges"]["CAP_BPF"]["ok"] is False


@pytest.mark.needs("no emulation")
def test_without_btf() -> None:
    hidden = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs none /sys/kernel/btf; exec "$@"',
        "-",
    ]
    assert_refused(run("probe", wrap=hidden), 3, "/sys/kernel/btf/vmlinux", "--btf")
    done = run("doctor", wrap=hidden)
    assert done.returncode == 3
    assert "--btf FILE" in done.stdout


@pytest.mark.needs("no emulation")
def test_another_proc_than_ours() -> None:
    """A file of its own is looked for there by name; another one by that name is not taken."""
    others = "mkdir -p /proc/self/fd; for n in $(seq 0 30); do echo other > /proc/self/fd/$n; done"
    wrap = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none /proc; {others}; exec "$@"']
    done = run("doctor", wrap=[*wrap, "sh"])
    assert done.returncode == 0, done.stdout


@pytest.mark.needs("no emulation")
def test_the_kernels_types_from_a_file(tmp_path: Path) -> None:
    types = tmp_path / "vmlinux.btf"
    types.write_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
    done = run("doctor", "--btf", str(types))
    assert done.returncode == 0, done.stdout
    assert_refused(run("probe", "--btf", str(tmp_path / "none")), 2, "none: no such file")
    types.write_bytes(b"no types")
    assert_refused(run("probe", "--btf", str(types)), 2, str(types), "neither BTF nor ELF")
    types.write_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes()[:1000])
    assert_refused(run("probe", "--btf", str(types)), 3, "no hook can be attached")


@pytest.mark.needs("no emulation")
def test_a_damaged_or_foreign_object(tmp_path: Path) -> None:
    whole = Path(object_file.PACKAGED).read_bytes()
    cut = tmp_path / "cut.o"
    cut.write_bytes(whole[: len(whole) // 3])
    assert_refused(run("probe", "--object", str(cut)), 3, str(cut), "damaged")
    assert_refused(run("probe", "--object", "/bin/true"), 3, "/bin/true", "not EM_BPF")
    assert_refused(run("probe", "--object", str(tmp_path / "none.o")), 2, "none.o")
    done = run("doctor", "--object", str(cut))
    assert done.returncode == 3
    assert "damaged" in done.stdout


@pytest.mark.needs("no emulation")
def test_wrong_usage() -> None:
    assert_refused(run("probe", "--format", "json"), 2, "--format")
    assert_refused(run("probe", "-o", "yaml"), 2, "yaml")
    assert_refused(run("replay", "/nowhere"), 2, "/nowhere")
    assert_refused(run("replay", "/"), 2, "/")


@pytest.mark.needs("no emulation")
def test_a_corrupted_recording(tmp_path: Path) -> None:
    recording = tmp_path / "kills"
    recording.write_text('{"schema": 1}\n{"schema"\n')
    done = run("replay", str(recording))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(recording) in done.stderr


@pytest.mark.needs("no emulation")
def test_doctor_names_the_hook_in_use(hook: str) -> None:
    report = json.loads(run("doctor", "-o", "json").stdout)
    assert report["can_attach"] is True
    assert report["findings"]["hooks"][hook]["ok"] is True
    assert report["kernel"] == os.uname().release


@pytest.mark.needs("no emulation")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_ends_it_with_the_reason(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str, unbuffered: str
) -> None:
    (cgroup,) = make_cgroups("/oomkill-full")
    cgroup.limit(32)
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, str(COMMAND), "probe", "-o", "json", "--hook", hook]
        with subprocess.Popen(command, stdout=full, stderr=subprocess.PIPE, env=environ) as probe:
            assert probe.stderr is not None
            assert probe.stderr.readline() == f"container-oomkill: attached with {hook}\n".encode()
            assert hog(cgroup, "anon 64").was_killed()
            assert probe.wait(DEADLINE) == 1
            words = "container-oomkill: write to standard output: no space left on device\n"
            assert probe.stderr.read().decode() == words


@pytest.mark.needs("no emulation")
def test_a_signal_ends_it_though_nobody_reads(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str
) -> None:
    (cgroup,) = make_cgroups("/oomkill-unread")
    cgroup.limit(32)
    with Recorder(hook, reading=False) as recorder:
        assert recorder.process.stdout is not None
        fcntl.fcntl(recorder.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        for _ in range(4):  # more than fit the pipe
            assert hog(cgroup, "anon 64").was_killed()
        while "pipe_write" not in Path(f"/proc/{recorder.process.pid}/wchan").read_text():
            assert recorder.process.poll() is None
        recorder.process.send_signal(signal.SIGTERM)
        assert recorder.process.wait(DEADLINE) == 1
        assert "stopped while stdout was blocked" in recorder.errors()


@pytest.mark.needs("no emulation")
def test_closed_standard_streams(tmp_path: Path) -> None:
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        wrap = ["sh", "-c", f'exec "$@" {closed}', "-"]
        done = run("doctor", wrap=wrap)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    empty = tmp_path / "kills"
    empty.touch()
    assert run("replay", str(empty), wrap=["sh", "-c", 'exec "$@" >&-', "-"]).returncode == 0
