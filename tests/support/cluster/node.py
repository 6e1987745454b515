# SPDX-License-Identifier: Apache-2.0
"""Takes a control plane, gives it a node: containerd, its pod network, and a kubelet."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..runtimes.image import IMAGE
from ..runtimes.running import program
from .control_plane import NODE, ControlPlane
from .daemons import Daemon, wait_for
from .namespaces import CGROUP, NODE_ADDRESS
from .settings import GUEST

SOCKET = Path("/run/containerd/containerd.sock")
CNI = "/usr/lib/cni"  # the package containernetworking-plugins
NETWORK = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni",
                "ranges": [[{"subnet": "10.98.0.0/16"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}
CONTAINERD = """\
version = 2
root = "{folder}/containerd"
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
    bin_dir = "{cni}"
    conf_dir = "{folder}/network"
"""
KUBELET: dict[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "address": NODE_ADDRESS,
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},  # nobody else is in this network
    "cgroupDriver": "cgroupfs",
    "cgroupRoot": CGROUP,
    "containerRuntimeEndpoint": f"unix://{SOCKET}",
    "enforceNodeAllocatable": [],
    "evictionHard": {"memory.available": "1Mi"},
    "evictionPressureTransitionPeriod": "1s",
    "failCgroupV1": False,
    "failSwapOn": False,
    "fileCheckFrequency": "1s",
    "healthzPort": 0,
    "imageGCHighThresholdPercent": 100,
    # Evictions need it; a guest's root, an overlay, has no statistics.
    "localStorageCapacityIsolation": GUEST not in os.environ,
    "makeIPTablesUtilChains": False,
    "readOnlyPort": 0,
}


class Node:
    """``seconds``: until each program was ready; the kubelet's: until the node was."""

    def __init__(self, plane: ControlPlane, folder: Path, logs: Path) -> None:
        self.plane = plane
        self.folder = folder
        self.static_pods = folder / "static-pods"
        self.seconds: dict[str, float] = {}
        for each in (folder, self.static_pods, folder / "network"):
            each.mkdir()
        (folder / "network/pods.conflist").write_text(json.dumps(NETWORK))
        (folder / "resolv.conf").write_text("")
        config = CONTAINERD.format(folder=folder, image=IMAGE, cni=CNI)
        (folder / "containerd.toml").write_text(config)
        containerd = [program("containerd", "containerd"), "-c", str(folder / "containerd.toml")]
        self._containerd = Daemon(containerd, logs / "containerd.log")
        kubelet = [plane.programs["kubelet"], "--config", str(folder / "kubelet.json")]
        kubelet += ["--kubeconfig", str(plane.kubeconfig("kubelet"))]
        kubelet += ["--hostname-override", NODE, "--node-ip", NODE_ADDRESS]
        self.kubelet = Daemon(kubelet, logs / "kubelet.log")

    def start(self, *archives: Path) -> None:
        """Start the programs with these images on the node."""
        self.seconds["containerd"] = self._containerd.start(
            lambda: self._ctr("version").returncode == 0
        )
        for archive in archives:
            self.ctr("images", "import", str(archive))
        self.seconds["kubelet"] = self.configure()

    def oom_events(self, container_id: str) -> list[str]:
        """Return when the runtime took its shim's word of OOM kills: RFC 3339, oldest first."""
        return self._logged(f'"TaskOOM event &TaskOOM{{ContainerID:{container_id},')

    def started(self, container_id: str) -> str:
        """Return when the shim had started it, and watched its cgroup: RFC 3339."""
        (when,) = self._logged(f'"StartContainer for \\"{container_id}\\" returns successfully"')
        return when

    def _logged(self, words: str) -> list[str]:
        lines = self._containerd.log.read_text(errors="replace").splitlines()
        return [line.split('"')[1] for line in lines if words in line]

    def ctr(self, *arguments: str) -> str:
        done = self._ctr(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @staticmethod
    def _ctr(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program("ctr", "containerd"), "-n", "k8s.io", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def configure(self, **changes: Any) -> float:
        """Start the kubelet, or another one in its place; pods run on meanwhile."""
        self.kubelet.stop()
        config = {**KUBELET, "staticPodPath": str(self.static_pods)}
        config["resolvConf"] = str(self.folder / "resolv.conf")
        (self.folder / "kubelet.json").write_text(json.dumps(config | changes))
        before = self._beat()
        return self.kubelet.start(lambda: self._is_ready() and self._beat() != before)

    def stop(self) -> None:
        self.kubelet.stop()
        self._containerd.stop()

    def _node(self) -> dict[str, Any]:
        return self.plane.api.find(f"/api/v1/nodes/{NODE}") or {}

    def _is_ready(self) -> bool:
        conditions = self._node().get("status", {}).get("conditions", ())
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _beat(self) -> object:
        """Of the kubelet that runs now: it writes this at its start, and every five minutes."""
        conditions = self._node().get("status", {}).get("conditions", ())
        return [each["lastHeartbeatTime"] for each in conditions if each["type"] == "Ready"]


@contextlib.contextmanager
def node(plane: ControlPlane, folder: Path, logs: Path, *archives: Path) -> Iterator[Node]:
    made = Node(plane, folder, logs)
    try:
        made.start(*archives)
        # A new node is tainted until the controllers have seen it ready.
        wait_for(lambda: not made._node()["spec"].get("taints"), "a node without taints")
        yield made
    finally:
        made.stop()
