# SPDX-License-Identifier: Apache-2.0
"""Takes the API, gives the exporters of a cluster: one on each node, and how it is reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from ..errors import Error, UnsupportedError
from ..kubernetes.api import Api
from ..kubernetes.errors import ApiError

SELECTOR = "app.kubernetes.io/name=container-oomkill"
NAMESPACE = "container-oomkill"  # where the overlays put it
ROLE = "container-oomkill-viewer"
PORT = 9262
PORT_NAME = "metrics"
PAGE = 250  # pods
DENIED = (401, 403)


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    deletion_timestamp: str | None = None
    continue_: str = msgspec.field(name="continue", default="")


class _Port(msgspec.Struct, rename="camel"):
    name: str = ""
    container_port: int = 0


class _HttpGet(msgspec.Struct):
    scheme: str = "HTTP"


class _Probe(msgspec.Struct, rename="camel"):
    http_get: _HttpGet | None = None


class _Container(msgspec.Struct, rename="camel"):
    ports: list[_Port] | None = None
    liveness_probe: _Probe | None = None


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""
    containers: list[_Container] | None = None


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    phase: str = ""
    conditions: list[_Condition] | None = None


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: _Status


class _PodList(msgspec.Struct):
    metadata: _Metadata
    items: list[_Pod] | None = None


@dataclass(frozen=True, slots=True)
class Exporter:
    """One pod of the DaemonSet; ``secure``: it speaks TLS, as its probe says."""

    node: str
    namespace: str
    pod: str
    port: int = PORT
    secure: bool = False
    phase: str = "Running"
    ready: bool = True

    def path(self, of: str) -> str:
        """Return where the API server passes a request on; it asks nobody for a certificate."""
        name = f"{'https:' if self.secure else ''}{self.pod}:{self.port}"
        namespace = quote(self.namespace, safe="")
        return f"/api/v1/namespaces/{namespace}/pods/{quote(name, safe=':')}/proxy{of}"


def find_exporters(
    api: Api, *, namespace: str | None = None, selector: str = SELECTOR
) -> list[Exporter]:
    """Return those of a namespace, by node; None: of all, or of the usual one with less rights.

    Raises `UnsupportedError` without the right to look, `Error` where there are none.
    """
    try:
        found = list(_pods(api, namespace, selector))
    except ApiError as error:
        if namespace is not None or error.code not in DENIED:
            raise failed(f"list pods{_in(namespace)}", error) from None
        namespace = NAMESPACE
        try:
            found = list(_pods(api, namespace, selector))
        except ApiError as second:
            raise failed(f"list pods{_in(namespace)}", second) from None
    if not found:
        raise Error(
            f"no pod is labelled {selector}{_in(namespace) or ' in any namespace'}: is the "
            "DaemonSet installed? --exporter-namespace and --selector say where it is"
        )
    return _one_a_node(found)


def failed(what: str, error: ApiError) -> Error:
    """Return what a person is told of a request that failed; without the right, what to ask for."""
    words = f"{what}: {error}"
    if error.code == 401:
        return UnsupportedError(f"{words}: the credentials of this context are not accepted")
    if error.code == 403:
        return UnsupportedError(f"{words}: ask for the Role {ROLE}, see docs/kubectl.md")
    return Error(words)


def _in(namespace: str | None) -> str:
    return f" in namespace {namespace}" if namespace else ""


def _pods(api: Api, namespace: str | None, selector: str) -> Iterator[_Pod]:
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods" if namespace else "/api/v1/pods"
    fields = {"labelSelector": selector, "limit": str(PAGE)}
    more: Mapping[str, str] = {}
    while True:
        page = api.get(path, _PodList, fields={**fields, **more})
        yield from page.items or ()
        if not page.metadata.continue_:
            return
        more = {"continue": page.metadata.continue_}


def _one_a_node(pods: Iterable[_Pod]) -> list[Exporter]:
    """Return the one that stays, where one is about to go and the next is there."""
    going: dict[str, Exporter] = {}
    staying: dict[str, Exporter] = {}
    for pod in pods:
        node = pod.spec.node_name or f"(pod {pod.metadata.name})"  # it waits for a node
        (going if pod.metadata.deletion_timestamp else staying)[node] = _exporter(pod, node)
    return [each for _, each in sorted((going | staying).items())]


def _exporter(pod: _Pod, node: str) -> Exporter:
    containers = pod.spec.containers or []
    port, secure = PORT, False
    for container in containers:
        for each in container.ports or ():
            if each.name == PORT_NAME:
                port = each.container_port
                probe = container.liveness_probe
                secure = bool(probe and probe.http_get and probe.http_get.scheme == "HTTPS")
    conditions = {each.type: each.status for each in pod.status.conditions or ()}
    return Exporter(
        node=node,
        namespace=pod.metadata.namespace,
        pod=pod.metadata.name,
        port=port,
        secure=secure,
        phase=pod.status.phase or "Unknown",
        ready=conditions.get("Ready") == "True",
    )
