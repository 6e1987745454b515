# SPDX-License-Identifier: Apache-2.0
"""State folders on disk as the runtimes lay them out, shortened to what is read and around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

C = "4b1d" * 16
D = "7e0f" * 16
UID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def docker_config(container_id: str = C, **changes: Any) -> dict[str, Any]:
    return {
        "StreamConfig": {},
        "State": {"Running": True, "Paused": False, "OOMKilled": False, "Pid": 4711},
        "ID": container_id,
        "Created": "2026-01-02T03:04:05.6Z",
        "Path": "python3",
        "Args": ["-m", "shop"],
        "Config": {
            "Hostname": container_id[:12],
            "Image": "registry.example/shop/cart:1.2",
            "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "cart"},
        },
        "Image": "sha256:" + "0" * 64,
        "Name": "/shop-cart-1",
        "Driver": "overlay2",
    } | changes


def kubelet_labels(**changes: str) -> dict[str, str]:
    return {
        "io.kubernetes.container.name": "app",
        "io.kubernetes.pod.name": "cart-7d9f4",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": UID,
    } | changes


def containerd_config(**changes: str) -> dict[str, Any]:
    annotations = {
        "io.kubernetes.cri.container-name": "app",
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.image-name": "registry.example/shop/cart:1.2",
        "io.kubernetes.cri.sandbox-id": D,
        "io.kubernetes.cri.sandbox-name": "cart-7d9f4",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.sandbox-uid": UID,
    }
    return {
        "ociVersion": "1.1.0",
        "process": {"args": ["python3"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "annotations": annotations | changes,
        "linux": {"cgroupsPath": f"/kubepods/pod{UID}/{C}"},
    }


def crio_config(container_id: str = C, **changes: str) -> dict[str, Any]:
    return {
        "ociVersion": "1.0.2-dev",
        "process": {"args": ["python3"]},
        "annotations": {
            "io.container.manager": "cri-o",
            "io.kubernetes.container.hash": "ca2e5d6f",
            "io.kubernetes.cri-o.ContainerID": container_id,
            "io.kubernetes.cri-o.ContainerType": "container",
            "io.kubernetes.cri-o.Image": "2b8fd9751c4c",
            "io.kubernetes.cri-o.ImageName": "registry.example/shop/cart:1.2",
            "io.kubernetes.cri-o.Labels": json.dumps(kubelet_labels()),
            "io.kubernetes.cri-o.Metadata": '{"name":"app"}',
            "io.kubernetes.cri-o.Name": f"k8s_app_cart-7d9f4_shop_{UID}_0",
            "io.kubernetes.cri-o.SandboxID": D,
        }
        | kubelet_labels()
        | changes,
    }


def podman_entry(container_id: str = C, name: str = "web", **notes: str) -> dict[str, Any]:
    metadata = {
        "image-name": "docker.io/library/nginx:1.27.4",
        "image-id": "9" * 64,
        "name": name,
        "created-at": 1760200649,
    }
    return {
        "id": container_id,
        "names": [name],
        "image": "9" * 64,
        "layer": "2" * 64,
        "metadata": json.dumps(metadata | notes),
        "created": "2026-01-02T03:04:05.6Z",
        "flags": {"MountLabel": "", "ProcessLabel": ""},
    }
