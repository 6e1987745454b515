# SPDX-License-Identifier: Apache-2.0
"""Builds the container of deploy/kubernetes' DaemonSet as a kubelet would.

The image is the hog's, with this machine's Python and this tree mounted over it: what is tried is
the manifest's rights and mounts, not what is in the image.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from container_oomkill import libbpf
from container_oomkill.kubernetes.access import ACCOUNT

from ..kernel.processes import COMMAND
from ..manifests import container, pod
from .cri import proto
from .image import IMAGE

NODE = "node-7"
ROOT = Path(__file__).parents[3]
PROGRAMS = ("/usr", "/lib", "/lib64", "/bin")  # of this machine, for its Python


def exporter_container(
    manifests: list[dict[str, Any]],
    host_paths: Mapping[str, Path],
    port: int,
    api: tuple[str, Path],
) -> Any:
    """Return its configuration; ``host_paths``: where this node has what is mounted, by volume.

    ``api``: where the cluster's API is, and the folder of its service account's token.
    """
    only, spec = container(manifests), pod(manifests)
    context, user = only["securityContext"], spec["securityContext"]
    assert user["seccompProfile"] == {"type": "RuntimeDefault"}
    capabilities = context["capabilities"]
    added = [*capabilities["add"], *([] if knows_its_rights() else ["SYS_ADMIN"])]
    environment = {
        **_environment(only["env"]),
        "CONTAINER_OOMKILL_WEB_LISTEN_ADDRESS": f"127.0.0.1:{port}",  # the node's network
    }
    mounts = [*_programs(), *_mounts(only["volumeMounts"], host_paths)]
    host, _, api_port = api[0].removeprefix("https://").rpartition(":")
    environment |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": api_port}
    if spec["automountServiceAccountToken"]:
        account = proto.Mount(container_path=str(ACCOUNT), host_path=str(api[1]), readonly=True)
        mounts.append(account)
    return proto.ContainerConfig(
        metadata=proto.ContainerMetadata(name=only["name"]),
        image=proto.ImageSpec(image=IMAGE),
        command=[sys.executable, str(COMMAND), "exporter"],
        envs=[proto.KeyValue(key=key, value=value) for key, value in environment.items()],
        mounts=mounts,
        labels={"io.kubernetes.container.name": only["name"]},
        log_path=f"{only['name']}.log",
        linux=proto.LinuxContainerConfig(
            resources=proto.LinuxContainerResources(
                memory_limit_in_bytes=_mebibytes(only["resources"]["limits"]["memory"])
            ),
            security_context=proto.LinuxContainerSecurityContext(
                capabilities=proto.Capability(
                    add_capabilities=added, drop_capabilities=capabilities["drop"]
                ),
                namespace_options=proto.NamespaceOption(network=proto.NODE),
                run_as_user=proto.Int64Value(value=user["runAsUser"]),
                run_as_group=proto.Int64Value(value=user["runAsGroup"]),
                readonly_rootfs=context["readOnlyRootFilesystem"],
                no_new_privs=not context["allowPrivilegeEscalation"],
                seccomp=proto.SecurityProfile(profile_type=proto.RuntimeDefault),
            ),
        ),
    )


def knows_its_rights() -> bool:
    """Whether the libbpf in use does without modules' types, which take CAP_SYS_ADMIN to read.

    The image's does; Debian 12's gives up where it may not.
    """
    major, minor = map(int, libbpf.version().split(".")[:2])
    return (major, minor) >= (1, 3)


def _environment(variables: list[dict[str, Any]]) -> dict[str, str]:
    """What the kubelet fills in: the node's name, and references to variables before."""
    found: dict[str, str] = {}
    for each in variables:
        if "valueFrom" in each:
            assert each["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}
            found[each["name"]] = NODE
        else:
            value = each["value"]
            for name, earlier in found.items():
                value = value.replace(f"$({name})", earlier)
            found[each["name"]] = value
    return found


def _mounts(mounts: list[dict[str, Any]], host_paths: Mapping[str, Path]) -> list[Any]:
    propagations = {"HostToContainer": proto.PROPAGATION_HOST_TO_CONTAINER}
    return [
        proto.Mount(
            container_path=each["mountPath"],
            host_path=str(host_paths[each["name"]]),
            readonly=each["readOnly"],
            propagation=propagations[each["mountPropagation"]],
        )
        for each in mounts
    ]


def _programs() -> list[Any]:
    needed = [*PROGRAMS, sys.base_prefix, sys.prefix, str(ROOT)]
    apart = [
        each
        for each in dict.fromkeys(needed)
        if not any(each != other and each.startswith(other + "/") for other in needed)
    ]
    return [
        proto.Mount(container_path=each, host_path=str(Path(each).resolve()), readonly=True)
        for each in apart
        if Path(each).exists()
    ]


def _mebibytes(text: str) -> int:
    assert text.endswith("Mi")
    return int(text.removesuffix("Mi")) << 20
