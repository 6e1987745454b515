# SPDX-License-Identifier: Apache-2.0
"""Takes a command, gives it a machine of its own: mounts, network and process ids apart.

A node's programs want their usual folders and ports. In namespaces of their own they have them,
whatever runs beside them, and nothing of it is left when the first process ends. Only control
groups are the machine's: the node's are below one of our own, as kind's are.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ...vm.packages import cache_dir, locked
from ..kernel.cgroups import V2_ROOT, is_v1
from .settings import GUEST

CGROUP = "/oomkill-cluster"  # the kubelet's --cgroup-root
NODE_ADDRESS = "10.99.0.1"
SERVICE_ADDRESS = "10.233.0.1"  # of the Service `kubernetes`: no proxy is needed, it is the node's
# Folders of a node: hidden from it is what this machine has there.
FOLDERS = ("/run", "/var/log", "/var/lib/docker", "/var/lib/kubelet", "/var/snap")
SIZE = "4g"


@contextlib.contextmanager
def prepared() -> Iterator[tuple[list[str], Path]]:
    """What stands before a command that is to run so, and a folder for `furnish`.

    Cleans up what namespaces do not hold: the folder, and control groups.
    """
    apart = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    folder = Path(tempfile.mkdtemp(prefix="oomkill-cluster-", dir="/tmp"))
    try:
        with locked(cache_dir() / "cluster.lock"):
            made = [path for each in FOLDERS if not (path := Path(each)).exists()]
            for path in made:
                path.mkdir(parents=True)
            _remove_cgroups()  # of a run that was killed: the lock is ours now
            _make_cgroups()
            try:
                yield [*apart, "--propagation", "private"], folder
            finally:
                _remove_cgroups()
                for path in made:
                    with contextlib.suppress(OSError):
                        path.rmdir()
    finally:
        shutil.rmtree(folder)


def furnish(folder: Path) -> None:
    """Called inside: mount what a node has on disk, all below ``folder``; mounts end with us."""
    assert os.getpid() < 10, "not in namespaces of our own: make test-cluster"
    if GUEST in os.environ:  # its root is an overlay, and so cannot hold containerd's
        _run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "node", str(folder))
    for each in FOLDERS:
        below = folder / each.strip("/").replace("/", "-")
        below.mkdir()
        _run("mount", "--bind", str(below), each)
    _run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    _run("mount", "--make-rshared", "/")  # as systemd has it: HostToContainer needs that
    for address in (NODE_ADDRESS, SERVICE_ADDRESS):
        _run("ip", "address", "add", f"{address}/32", "dev", "lo")
    _run("ip", "link", "set", "lo", "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _make_cgroups() -> None:
    if not is_v1():
        _delegate()
        (V2_ROOT / CGROUP.strip("/")).mkdir(exist_ok=True)
        return
    for hierarchy in _hierarchies():
        made = hierarchy / CGROUP.strip("/")
        made.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # empty at first: nothing may run
            if (made / name).exists():
                (made / name).write_text((hierarchy / name).read_text())


def _delegate() -> None:
    """Have every controller below the root, which alone may keep processes of its own then."""
    for each in (V2_ROOT / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):  # one that cannot be had here
            (V2_ROOT / "cgroup.subtree_control").write_text(f"+{each}")


def _hierarchies() -> list[Path]:
    return [each for each in V2_ROOT.iterdir() if (each / "cgroup.procs").exists()]


def _remove_cgroups() -> None:
    for hierarchy in _hierarchies() if is_v1() else [V2_ROOT]:
        top = hierarchy / CGROUP.strip("/")
        for path, _, _ in os.walk(top, topdown=False):
            _remove(Path(path))


def _remove(cgroup: Path) -> None:
    """Processes that were killed with their namespace may take a moment to be gone."""
    deadline = time.monotonic() + 30
    while True:
        try:
            cgroup.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
