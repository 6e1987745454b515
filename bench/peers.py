# SPDX-License-Identifier: Apache-2.0
"""Fetches the other tools for a kernel from Debian's packages, and measures their size on disk.

One that is not to be had is given with the reason instead: the report says so.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm import mirror
from tests.vm.apt import Apt
from tests.vm.errors import PackageError
from tests.vm.packages import Kernel, cache_dir, locked
from tests.vm.table import KernelSpec

FLOOR = "libbpf-tools oomkill"
# The least that is of use: who is killed.
ONE_LINER = (
    "kprobe:oom_kill_process"
    ' { printf("%s %d\\n", ((struct oom_control *)arg0)->chosen->comm,'
    " ((struct oom_control *)arg0)->chosen->pid); }"
)
# What else records OOM kills, and why it is not measured beside the rest.
NOT_MEASURED = {
    "Inspektor Gadget trace_oomkill": "its gadgets are OCI images; neither they nor `ig` are in "
    "Debian, and the Go proxy has no module that builds",
    "cloudflare/ebpf_exporter": "not in Debian; counts by cgroup, prints no kill",
    "node-problem-detector": "not in Debian, and the Go proxy has no version of it; reads the "
    "kernel's log, no hook",
    "cAdvisor": "reads the kernel's log, no hook; a daemon for much more",
    "systemd-oomd, earlyoom": "kill by themselves; do not see the kernel's kills",
}


@dataclass(frozen=True)
class Peer:
    """A tool that attaches a kprobe to oom_kill_process; ``missing`` says why it is not here."""

    name: str
    argv: tuple[str, ...] = ()
    slow: bool = False  # takes so long to start that fewer rounds must do
    disk_bytes: int = 0  # with all that its packages depend on
    missing: str = ""


def find(spec: KernelSpec, kernel: Kernel) -> tuple[list[Peer], Path | None]:
    """Every peer, and the folder with the kernel's headers, which bcc alone needs."""
    headers = _headers(spec, kernel)
    peers = [
        _peer(FLOOR, "libbpf-tools", _unpacked("libbpf-tools", "usr/sbin/oomkill")),
        _peer("bpftrace one-liner", "bpftrace", _installed("bpftrace"), "-e", ONE_LINER),
        _peer("bpftrace oomkill.bt", "bpftrace", _installed("oomkill.bt")),
    ]
    name, program = "bcc oomkill", _installed("oomkill-bpfcc")
    if headers is None:
        peers.append(Peer(name, missing=f"no headers of {kernel.release} in the archive"))
    else:
        peers.append(_peer(name, "bpfcc-tools", program, slow=True, more=_size(headers)))
    return peers, headers


def _peer(
    name: str, package: str, program: Path | None, *options: str, slow: bool = False, more: int = 0
) -> Peer:
    if program is None:
        return Peer(name, missing=f"no package {package} here")
    return Peer(name, (str(program), *options), slow, closure_bytes(package) + more)


def _installed(program: str) -> Path | None:
    """In what tools/system-packages.sh installs."""
    for folder in ("/usr/sbin", "/usr/bin"):
        if (path := Path(folder, program)).exists():
            return path
    return None


def _unpacked(package: str, program: str) -> Path | None:
    """A program of a package that is not installed: its name is too common for /usr/sbin."""
    path = cache_dir() / "peers" / package / program
    if path.exists():
        return path
    target = cache_dir() / "peers" / package
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        download = ["apt-get", "download", "-qq", package]
        done = subprocess.run(download, cwd=folder, check=False, stderr=subprocess.DEVNULL)
        debs = list(Path(folder).glob("*.deb"))
        if done.returncode or not debs:
            return None
        subprocess.run(["dpkg-deb", "-x", str(debs[0]), str(target)], check=True)
    return path if path.exists() else None


def _headers(spec: KernelSpec, kernel: Kernel) -> Path | None:
    """The kernel's headers, unpacked in the cache; None where the archive has them no longer."""
    target = cache_dir() / "peers" / f"headers-{kernel.release}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            locked(cache_dir() / "lock"),
            tempfile.TemporaryDirectory(dir=target.parent) as name,
        ):
            apt = Apt(Path(name) / "apt", mirror.find(), spec.suites, spec.arch)
            apt.update()
            common = kernel.release.rpartition("-")[0] + "-common"
            wanted = [apt.package(f"linux-headers-{each}") for each in (kernel.release, common)]
            for deb in apt.download(wanted):
                subprocess.run(["dpkg-deb", "-x", str(deb), f"{name}/root"], check=True)
            Path(name, "root").rename(target)
    except PackageError:
        return None
    return target


def closure_bytes(*packages: str) -> int:
    """What Debian's packages take on a disk that has nothing yet, libc and all."""
    nothing = ["-o", "Dir::State::status=/dev/null"]
    install = ["apt-get", *nothing, "-s", "--no-install-recommends", "install", *packages]
    planned = _output(install)
    names = sorted(set(re.findall(r"^Inst (\S+)", planned, re.MULTILINE)))
    shown = _output(["apt-cache", "show", "--no-all-versions", *names])
    return (
        sum(int(size) for size in re.findall(r"^Installed-Size: (\d+)", shown, re.MULTILINE)) << 10
    )


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _size(folder: Path) -> int:
    return int(_output(["du", "-sk", str(folder)]).split()[0]) << 10
