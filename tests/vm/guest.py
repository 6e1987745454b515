# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel in QEMU, runs a command in it and returns its exit status.

virtme-ng builds the boot file system and the QEMU command line; `guest-setup.sh` prepares the
guest and runs the command. The status comes back in a file on the shared folder, written after
the command has ended: no file, no status, and that is an error of its own.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from tests.vm import emulator
from tests.vm.errors import GuestError
from tests.vm.packages import Kernel
from tests.vm.userland import OURS, REPOSITORY, Userland

SETUP = Path(__file__).with_name("guest-setup.sh")
GUEST_SHARE = "/run/vm/share"  # where guest-setup.sh finds the share
_CONSOLE_LINES = 25
_NOISE = ("BIOS-e820", "ommand line:")  # fills the console's first page, says nothing
# The best there is, "max", takes up to twice as long to emulate. neoverse-n1 has 16 KiB pages,
# which virtme-ng's choice lacks.
_CPUS = {"amd64": ("-cpu", "qemu64"), "arm64": ("-cpu", "neoverse-n1")}
# virtme-ng gives each of its six streams a controller of 31 ports, with 64 queues and as many file
# descriptors: QEMU's main thread polled 391 of them some 650 times a second, and took a fifth of
# its CPU time for that. One port will do; the first is a console's.
_PORTS = "-global virtio-serial-device.max_ports=2"
_alive: set[int] = set()  # process groups of the guests running now
_BOOT_ARGUMENTS = (
    "loglevel=4",  # panics and warnings on the console, not the boot's chatter
    "log_buf_len=4M",  # an OOM report is 5 KB: the default buffer forgets a test run's first
    "mitigations=off",  # nobody attacks an emulated CPU, and each system call is paid for twice
    "printk.devkmsg=on",  # tests write marks into the log: no rate limit on them
    # QEMU has one TSC. 5.10 distrusts those of such a CPU and reads the HPET, by way of QEMU's big
    # lock: a fifth of the CPU time.
    "tsc=reliable",
)


@dataclass(frozen=True)
class GuestResult:
    """How a command ended. Times in seconds; `console` and `dmesg` are the kernel's words."""

    returncode: int
    output: str
    console: str
    dmesg: str
    boot_seconds: float
    seconds: float


def run(
    kernel: Kernel,
    argv: Sequence[str],
    *,
    share: Path,
    timeout: float,
    userland: Userland = OURS,
    cpus: int = 2,
    memory: str = "1G",
    cgroup: Literal["v1", "v2", "hybrid"] = "v2",
    append: Sequence[str] = (),
    cwd: Path = REPOSITORY,
    environ: Mapping[str, str] | None = None,
) -> GuestResult:
    """Boots `kernel` and runs `argv` in it as root, in `cwd`.

    The guest sees this machine's whole file system, or another `userland` and the repository; what
    it writes is lost with it, except below `share`, which is the same folder under the same name on
    both sides. `share/.vm` is ours.
    `timeout` covers boot and command. Raises GuestError when no exit status came back, PackageError
    where there is no emulator to be had.
    """
    share = share.resolve()
    private = share / ".vm"
    shutil.rmtree(private, ignore_errors=True)
    (private / "tmp").mkdir(parents=True)
    (private / "bin").mkdir()
    # virtme-ng's init runs it when it finds it: 8 s of boot under emulation for nothing we use.
    (private / "bin" / "systemd-tmpfiles").symlink_to("/bin/true")
    exports = "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in (environ or {}).items()
    )
    command = f"cd {shlex.quote(str(cwd))} || exit 126\n{exports}exec {shlex.join(argv)}\n"
    (private / "command").write_text(command, encoding="utf-8")
    shutil.copy(SETUP, private / "setup")
    started = time.monotonic()
    ended = _boot(_vng(kernel, userland, share, cpus, memory, cgroup, append), private, timeout)
    seconds = time.monotonic() - started
    status, booted = _read(private / "status"), _read(private / "booted")
    console = _read(private / "console")
    if not status:
        raise GuestError(_what_happened(kernel, ended, booted, timeout, seconds, private))
    return GuestResult(
        returncode=int(status),
        output=_read(private / "output"),
        console=console,
        dmesg=_read(private / "dmesg"),
        boot_seconds=float(booted),
        seconds=seconds,
    )


def end_with_us() -> None:
    """From now on a signal that ends this process ends its guests first; for a `main()`."""

    def handler(number: int, _frame: FrameType | None) -> None:
        for group in tuple(_alive):
            _kill(group)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, handler)


def _vng(
    kernel: Kernel,
    userland: Userland,
    share: Path,
    cpus: int,
    memory: str,
    cgroup: str,
    append: Sequence[str],
) -> list[str]:
    beside = Path(sys.executable).with_name("vng")
    vng = str(beside) if beside.exists() else shutil.which("vng")
    if vng is None:
        raise GuestError("find vng: not installed; pip install virtme-ng")
    arguments = [
        *_BOOT_ARGUMENTS,
        f"PATH={GUEST_SHARE}/.vm/bin:/bin:/sbin:/usr/bin:/usr/sbin",
        *(["SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"] if cgroup != "v2" else []),
        *append,
    ]
    # For guest-setup.sh to mount with a page cache: the root once more, and what it lacks.
    folders = [] if userland.is_ours else [REPOSITORY, kernel.root]
    exports = {"vmroot": userland.root} | {f"vm{i}": path for i, path in enumerate(folders)}
    options = [
        "-accel tcg,thread=multi",
        _PORTS,
        *(
            f"-fsdev local,id={tag},path={path},security_model=none,readonly=on,multidevs=remap "
            f"-device virtio-9p-pci,fsdev={tag},mount_tag={tag}"
            for tag, path in exports.items()
        ),
    ]
    foreign = []
    if not userland.is_ours:
        foreign = ["--arch", kernel.arch, "--root", str(userland.root)]
        foreign += ["--busybox", str(userland.root / "bin/busybox")]
    options += _CPUS[kernel.arch]
    return [
        vng, *foreign, "--qemu", str(emulator.ensure(kernel.arch)),
        "--disable-kvm", "--force-9p", "--verbose", "--user", "root",
        "--run", str(kernel.image), "--cpus", str(cpus), "--memory", memory,
        f"--rwdir={GUEST_SHARE}={share}", *(f"--append={argument}" for argument in arguments),
        f"--qemu-opts={' '.join(options)}", "--",
        "/bin/sh", f"{GUEST_SHARE}/.vm/setup", str(share), str(kernel.root), cgroup,
        *map(str, folders),
    ]  # fmt: skip


def _boot(argv: Sequence[str], private: Path, timeout: float) -> int | None:
    """Runs virtme-ng until it ends (its status) or time is up (None); leaves no process behind."""
    path = f"{Path(argv[0]).parent}:{os.environ.get('PATH', '')}"
    environ = {**os.environ, "TMPDIR": str(private / "tmp"), "PATH": path}
    # Two files: QEMU opens both streams anew and would cut off what the other has written.
    with (private / "console").open("ab") as console, (private / "vng").open("ab") as out:
        process = subprocess.Popen(
            # Should we be killed outright, this still ends the guest.
            ["timeout", "--signal=KILL", str(timeout + 10), *argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=console,
            env=environ,
            cwd="/",
            start_new_session=True,
        )
        _alive.add(process.pid)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill(process.pid)
            process.wait()
            _alive.discard(process.pid)


def _kill(group: int) -> None:
    """Ends virtme-ng, its shell and QEMU: a process group of their own, led by `group`."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _what_happened(
    kernel: Kernel,
    ended: int | None,
    booted: str,
    timeout: float,
    seconds: float,
    private: Path,
) -> str:
    if ended is None:
        during = "the command still running" if booted else "before it was ready"
        what = f"no result within {timeout:.0f} s, {during}"
    elif booted:
        what = f"the guest died {seconds:.0f} s after start, while the command ran"
    else:
        what = f"the guest ended after {seconds:.0f} s before it was ready (vng status {ended})"
    lines = [f"boot kernel {kernel.name} ({kernel.release}): {what}"]
    for name, title in (("output", "command's output"), ("console", "console"), ("vng", "vng")):
        said = [line for line in _read(private / name).splitlines() if line.strip()]
        tail = [line for line in said if not any(word in line for word in _NOISE)][-_CONSOLE_LINES:]
        if tail:
            lines += [f"  last lines of the {title}:", *(f"    {line}" for line in tail)]
    return "\n".join(lines)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b"").decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
