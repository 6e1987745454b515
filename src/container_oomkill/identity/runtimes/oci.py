# SPDX-License-Identifier: Apache-2.0
"""Takes OCI bundles' ``config.json``, gives names from the annotations containerd and CRI-O set.

containerd: io.kubernetes.cri.*, pkg/cri/annotations; nerdctl: nerdctl/*, pkg/labels.
CRI-O: io.kubernetes.cri-o.*, pkg/annotations. A pod's own annotations may be among them, so of
a name that both CRI-O and a pod can set, CRI-O's own copy in io.kubernetes.cri-o.Labels counts.
"""

from __future__ import annotations

from ...system import bounded_json
from .. import metadata
from ..metadata import ContainerMetadata, Key
from . import state
from .state import Folder, FoldersBelow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONTAINERD_FOLDERS = (
    "/run/containerd/io.containerd.runtime.v2.task",
    "/run/k3s/containerd/io.containerd.runtime.v2.task",
    "/run/k0s/containerd/io.containerd.runtime.v2.task",
    "/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
    "/run/containerd/io.containerd.runtime.v1.linux",
)
CRIO_FOLDERS = ("/run/containers/storage/overlay-containers",)
KEEP = {"annotations": None}
CRI = "io.kubernetes.cri."
CRIO = "io.kubernetes.cri-o."
DOCKERS_NAMESPACE = "moby"  # its bundles say nothing that Docker's own state does not


class Containerd(FoldersBelow):
    """containerd's bundles: ``<folder>/<namespace>/<id>/config.json``."""

    def __init__(self, folder: str) -> None:
        super().__init__("containerd", folder, self._namespace)

    def _namespace(self, namespace: str) -> Folder | None:
        def read(key: Key, document: Any) -> ContainerMetadata | None:
            return read_containerd(key, document, namespace)

        if namespace == DOCKERS_NAMESPACE:
            return None
        return Folder(self.runtime, self.folder, (namespace,), ("config.json",), read, keep=KEEP)


def crio(folder: str) -> Folder:
    """Return CRI-O's bundles: ``<folder>/<id>/userdata/config.json``, among Podman's."""
    return Folder("crio", folder, (), ("userdata", "config.json"), read_crio, keep=KEEP)


def read_containerd(key: Key, document: Any, namespace: str) -> ContainerMetadata:
    """Return what one config.json says; a pod's facts only in the kubelet's namespace."""
    owner, container_id = key
    notes = metadata.mapping(metadata.mapping(document).get("annotations"))
    if namespace == "k8s.io" and CRI + "sandbox-name" in notes:
        sandbox = notes.get(CRI + "container-type") == "sandbox"
        image = notes.get(CRI + ("podsandbox.image-name" if sandbox else "image-name"))
        return ContainerMetadata(
            container_id,
            "containerd",
            owner,
            metadata.SANDBOX if sandbox else metadata.text(notes.get(CRI + "container-name")),
            metadata.text(image),
            pod=metadata.text(notes.get(CRI + "sandbox-name")),
            namespace=metadata.text(notes.get(CRI + "sandbox-namespace")),
            pod_uid=metadata.text(notes.get(CRI + "sandbox-uid")),
        )
    name = metadata.text(notes.get("nerdctl/name"))
    return ContainerMetadata(container_id, "containerd", owner, name)


def read_crio(key: Key, document: Any) -> ContainerMetadata | None:
    """Return what one config.json says; None if it is not CRI-O's."""
    owner, container_id = key
    raw = metadata.mapping(metadata.mapping(document).get("annotations"))
    if raw.get("io.container.manager") == "libpod" or raw.get(CRIO + "ContainerID") not in (
        container_id,
        None,
    ):
        return None
    kind = raw.get(CRIO + "ContainerType")
    if kind not in ("container", "sandbox"):
        return None
    labels = {**raw, **_labels(raw.get(CRIO + "Labels"))}
    sandbox = kind == "sandbox"
    return ContainerMetadata(
        container_id,
        "crio",
        owner,
        metadata.SANDBOX if sandbox else metadata.text(labels.get(state.CONTAINER_NAME)),
        metadata.text(raw.get(CRIO + "ImageName")) or metadata.text(raw.get(CRIO + "Image")),
        pod=metadata.text(labels.get(state.POD_NAME)),
        namespace=metadata.text(labels.get(state.POD_NAMESPACE)),
        pod_uid=metadata.text(labels.get(state.POD_UID)),
    )


def _labels(value: object) -> dict[str, Any]:
    try:
        labels = bounded_json.loads(value.encode()) if isinstance(value, str) else {}
        return dict(metadata.mapping(labels))
    except ValueError:
        return {}
