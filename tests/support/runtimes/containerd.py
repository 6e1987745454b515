# SPDX-License-Identifier: Apache-2.0
"""Runs a containerd with its CRI plugin, with all of its files below one folder."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .image import IMAGE
from .running import Started, daemon, output, program, remove_cgroups

CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  # below what we have ourselves is not to be had without CAP_SYS_RESOURCE
  restrict_oom_score_adj = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


class Containerd:
    """containerd's own command line, ctr, and where things are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self.options = (
            "--state.containerd",
            str(folder / "state/io.containerd.runtime.v2.task"),
        )
        self._ctr = [program("ctr", "containerd"), "-a", str(self.socket)]

    def ctr(self, *arguments: str) -> str:
        return output(*self._ctr, *arguments)

    def run(self, name: str, script: str, *options: str) -> Started:
        """Run the hog; ctr makes of the name the container's id."""
        command = [*self._ctr, "run", *options, IMAGE, name, "/hog", *script.split()]
        return Started(name, command)

    def is_ready(self) -> bool:
        command = [*self._ctr, "version"]
        return subprocess.run(command, capture_output=True).returncode == 0


@contextlib.contextmanager
def containerd(folder: Path, archive: Path) -> Iterator[Containerd]:
    """Start one, with the image in the namespaces of ctr and of the kubelet."""
    server = program("containerd", "containerd")
    program("runc", "runc")
    (folder / "cni").mkdir()
    config = folder / "config.toml"
    config.write_text(CONFIG.format(folder=folder, image=IMAGE))
    started = Containerd(folder)
    log = folder / "containerd.log"
    try:
        with daemon([server, "-c", str(config)], log, started.is_ready):
            for namespace in ("default", "k8s.io"):
                started.ctr("-n", namespace, "images", "import", str(archive))
            yield started
    finally:
        remove_cgroups("/default")
