# SPDX-License-Identifier: Apache-2.0
"""Creates pods and containers through the Container Runtime Interface, as a kubelet does.

The stubs are made of cri.proto when this is imported.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ..kernel.cgroups import MIB, V1_ROOT, V2_ROOT, Cgroup, is_v1
from ..kernel.processes import DEADLINE
from .image import IMAGE
from .running import remove_cgroups

proto, services = grpc.protos_and_services("tests/support/runtimes/cri.proto")


@dataclass
class Pod:
    """What a kubelet is told of a pod; ``cgroup`` is its cgroup."""

    namespace: str
    name: str
    uid: str
    cgroup: str

    def labels(self) -> dict[str, str]:
        return {
            "io.kubernetes.pod.namespace": self.namespace,
            "io.kubernetes.pod.name": self.name,
            "io.kubernetes.pod.uid": self.uid,
        }


class Cri:
    """A runtime's CRI service; what was started is removed by `remove_all`."""

    def __init__(self, socket: Path, logs: Path) -> None:
        self._channel = grpc.insecure_channel(f"unix:{socket}")
        self._call = services.RuntimeServiceStub(self._channel)
        self._logs = logs
        self._sandboxes: list[str] = []

    def version(self) -> str:
        answer = self._call.Version(proto.VersionRequest(), timeout=DEADLINE)
        return f"{answer.runtime_name} {answer.runtime_version}"

    def run_pod(self, pod: Pod) -> Any:
        """Run a sandbox on the node's network; return its configuration, for `run`."""
        node = proto.NamespaceOption(network=proto.NODE)
        config = proto.PodSandboxConfig(
            metadata=proto.PodSandboxMetadata(name=pod.name, uid=pod.uid, namespace=pod.namespace),
            log_directory=str(self._logs),
            labels=pod.labels(),
            linux=proto.LinuxPodSandboxConfig(
                cgroup_parent=pod.cgroup,
                security_context=proto.LinuxSandboxSecurityContext(namespace_options=node),
            ),
        )
        request = proto.RunPodSandboxRequest(config=config)
        answer = self._call.RunPodSandbox(request, timeout=DEADLINE)
        self._sandboxes.append(answer.pod_sandbox_id)
        return config

    def run(
        self,
        sandbox: Any,
        name: str,
        script: str,
        limit_mib: int | None,
        created: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Run a hog in the newest sandbox, return its id; ``created`` gets it before the start."""
        node = proto.NamespaceOption(network=proto.NODE)
        resources = proto.LinuxContainerResources()
        if limit_mib is not None:
            resources.memory_limit_in_bytes = limit_mib * MIB
            resources.memory_swap_limit_in_bytes = limit_mib * MIB
        config = proto.ContainerConfig(
            metadata=proto.ContainerMetadata(name=name),
            image=proto.ImageSpec(image=IMAGE),
            command=["/hog", *script.split()],
            labels={**sandbox.labels, "io.kubernetes.container.name": name},
            log_path=f"{name}.log",
            linux=proto.LinuxContainerConfig(
                resources=resources,
                security_context=proto.LinuxContainerSecurityContext(namespace_options=node),
            ),
        )
        return self.start(sandbox, config, created)

    def start(
        self, sandbox: Any, config: Any, created: Callable[[str], None] = lambda _: None
    ) -> str:
        """Start a container as configured in the newest sandbox, return its id."""
        request = proto.CreateContainerRequest(
            pod_sandbox_id=self._sandboxes[-1], config=config, sandbox_config=sandbox
        )
        container_id: str = self._call.CreateContainer(request, timeout=DEADLINE).container_id
        created(container_id)
        start = proto.StartContainerRequest(container_id=container_id)
        self._call.StartContainer(start, timeout=DEADLINE)
        return container_id

    def ended(self, container_id: str) -> Any:
        """Wait for a container's end, return its status."""
        deadline = time.monotonic() + DEADLINE
        request = proto.ContainerStatusRequest(container_id=container_id)
        while True:
            status = self._call.ContainerStatus(request, timeout=DEADLINE).status
            if status.state == proto.CONTAINER_EXITED:
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.05)

    def remove(self, container_id: str) -> None:
        request = proto.RemoveContainerRequest(container_id=container_id)
        self._call.RemoveContainer(request, timeout=DEADLINE)

    def remove_all(self) -> None:
        """Stop and remove the sandboxes with what is in them."""
        for sandbox in self._sandboxes:
            stop = proto.StopPodSandboxRequest(pod_sandbox_id=sandbox)
            self._call.StopPodSandbox(stop, timeout=DEADLINE)
            remove = proto.RemovePodSandboxRequest(pod_sandbox_id=sandbox)
            self._call.RemovePodSandbox(remove, timeout=DEADLINE)
        self._sandboxes = []

    def close(self) -> None:
        self._channel.close()


@contextlib.contextmanager
def pod_cgroup(path: str) -> Iterator[Cgroup]:
    """Make the cgroup of a pod, as a kubelet does before it asks for the sandbox."""
    parts = path.strip("/").split("/")
    paths = ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]
    root = V1_ROOT if is_v1() else V2_ROOT
    missing = [each for each in paths if not (root / each.lstrip("/")).exists()]
    assert path in missing
    made: list[Cgroup] = []
    try:
        for each in missing:
            made.append(Cgroup(each))
            if each != path:
                made[-1].share_memory_controller()
        yield made[-1]
    finally:
        for cgroup in reversed(made):
            cgroup.remove()
        remove_cgroups(*reversed(missing))
