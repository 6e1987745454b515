# SPDX-License-Identifier: Apache-2.0
"""A small server that speaks the Kubernetes API: pods' list and watch, owners, Events; and faults.

What it has is a log of changes, as etcd's: a watch from a version gets what came after it. `faults`
are taken by requests in their order; each says which requests it is for.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .waiting import PATIENCE_SECONDS

NODE = "node-1"
TICK_SECONDS = 0.01
WATCH, LIST, OWNER, EVENT = "watch", "list", "owner", "event"


@dataclass
class Fault:
    """What happens to one request of a ``kind`` instead of an answer."""

    kind: str
    code: int = 0  # an HTTP status with a metav1.Status
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""
    cause: str = ""
    cut: bool = False  # the connection is closed without a word
    slow: float = 0.0  # seconds before the answer
    after: threading.Event | None = None  # before the answer
    lines: tuple[bytes, ...] = ()  # sent in a watch, which then ends
    body: bytes | None = None  # with status 200


@dataclass
class AskedFor:
    """One request as it came."""

    method: str
    path: str
    fields: dict[str, str]
    headers: dict[str, str]
    body: Any


class Cluster:
    """What the server has; for several threads."""

    def __init__(self, node: str = NODE) -> None:
        self.node = node
        self.changed = threading.Condition()
        self.version = 1000
        self.oldest = 1000  # a watch from before it gets 410
        self.pods: dict[str, Any] = {}
        self.objects: dict[str, Any] = {}  # by path: owners, Events
        self.log: list[tuple[int, str, Any]] = []
        self.faults: list[Fault] = []
        self.asked: list[AskedFor] = []
        self.page_size = 1000
        self.token: str | None = None
        self.ending = False

    def put(self, pod: Any) -> None:
        """Add or change a pod."""
        with self.changed:
            kind = "MODIFIED" if pod["metadata"]["uid"] in self.pods else "ADDED"
            self._note(kind, pod)
            self.pods[pod["metadata"]["uid"]] = pod

    def delete(self, uid: str) -> None:
        with self.changed:
            self._note("DELETED", self.pods.pop(uid))

    def forget(self) -> None:
        """Compact: no watch can go on from what was before."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.log = []

    def bookmark(self) -> None:
        with self.changed:
            self._note("BOOKMARK", {"kind": "Pod", "metadata": {}})

    def _note(self, kind: str, pod: Any) -> None:
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        self.log.append((self.version, kind, json.loads(json.dumps(pod))))
        self.changed.notify_all()

    def requests(self, kind: str) -> list[AskedFor]:
        with self.changed:
            return [each for each in self.asked if _kind(each.path, each.fields) == kind]

    def events(self) -> list[Any]:
        with self.changed:
            return [each for path, each in self.objects.items() if "/events/" in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        cluster = self.cluster
        if cluster.ending:  # a connection kept alive
            self.close_connection = True
            return None
        url = urlsplit(self.path)
        fields = {name: values[0] for name, values in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        kind = _kind(url.path, fields)
        with cluster.changed:
            headers = dict(self.headers.items())
            cluster.asked.append(AskedFor(self.command, url.path, fields, headers, body))
            fault = next((each for each in cluster.faults if each.kind == kind), None)
            if fault is not None:
                cluster.faults.remove(fault)
        if cluster.token and self.headers.get("Authorization") != f"Bearer {cluster.token}":
            return self._refuse(401, "Unauthorized")
        if fault is not None:
            until = time.monotonic() + fault.slow
            while time.monotonic() < until and not cluster.ending:
                time.sleep(TICK_SECONDS)
            if fault.after is not None:
                assert fault.after.wait(PATIENCE_SECONDS), "never"
            if fault.cut:
                self.close_connection = True
                return None
            if fault.code:
                return self._refuse(fault.code, fault.message, fault.headers, fault.cause)
            if fault.body is not None:
                return self._send(200, fault.body, fault.headers)
            if fault.lines:
                return self._watch_lines(iter(fault.lines))
        if kind == WATCH:
            return self._watch(int(fields["resourceVersion"]))
        if kind == LIST:
            return self._list(fields)
        if kind == EVENT and self.command == "GET":
            return self._events(fields["fieldSelector"])
        return self._object(url.path, body)

    def _list(self, fields: dict[str, str]) -> None:
        cluster = self.cluster
        with cluster.changed:
            if fields["fieldSelector"] != f"spec.nodeName={cluster.node}":
                pods = []
            else:
                pods = list(cluster.pods.values())
            start = int(fields.get("continue", "0"))
            end = start + min(int(fields["limit"]), cluster.page_size)
            metadata = {"resourceVersion": str(cluster.version)}
            if end < len(pods):
                metadata["continue"] = str(end)
            answer = {"kind": "PodList", "metadata": metadata, "items": pods[start:end] or None}
            data = json.dumps(answer).encode()
        self._send(200, data)

    def _watch(self, version: int) -> None:
        if version < self.cluster.oldest:
            self._watch_lines(iter([line("ERROR", status(410, "Expired", "too old"))]))
        else:
            self._watch_lines(self._changes(version))

    def _changes(self, version: int) -> Iterator[bytes]:
        cluster = self.cluster
        while not cluster.ending:
            with cluster.changed:
                news = [each for each in cluster.log if each[0] > version]
                if not news:
                    cluster.changed.wait(TICK_SECONDS)
            for _, kind, thing in news:
                yield line(kind, thing)
            version = news[-1][0] if news else version

    def _watch_lines(self, lines: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        for each in lines:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(each), each))
        self.wfile.write(b"0\r\n\r\n")

    def _events(self, selector: str) -> None:
        uid = selector.removeprefix("involvedObject.uid=")
        found = [each for each in self.cluster.events() if each["involvedObject"]["uid"] == uid]
        self._send(200, json.dumps({"kind": "EventList", "items": found}).encode())

    def _object(self, path: str, body: Any) -> None:
        cluster = self.cluster
        with cluster.changed:
            if self.command == "POST":
                path = f"{path}/{body['metadata']['name']}"
                if path in cluster.objects:
                    return self._refuse(409, "already exists", cause="AlreadyExists")
                cluster.objects[path] = body
                return self._send(201, json.dumps(body).encode())
            if path not in cluster.objects:
                return self._refuse(404, f"{path} not found")
            if self.command == "PATCH":
                cluster.objects[path] |= body
            return self._send(200, json.dumps(cluster.objects[path]).encode())

    def _refuse(
        self, code: int, words: str, headers: dict[str, str] | None = None, cause: str = ""
    ) -> None:
        self._send(code, json.dumps(status(code, cause, words)).encode(), headers)

    def _send(self, code: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    details = {"causes": [{"reason": reason}]} if reason else None
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return {**body, "details": details}


def line(kind: str, thing: Any) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def _kind(path: str, fields: dict[str, str]) -> str:
    if path == "/api/v1/pods":
        return WATCH if fields.get("watch") == "true" else LIST
    return EVENT if "/events" in path else OWNER


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that go away are what is tested."""


@contextmanager
def serving(
    cluster: Cluster, port: int = 0, context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve on the loopback interface, give the URL."""
    handler = type("Bound", (Handler,), {"cluster": cluster})
    server = Quiet(("127.0.0.1", port), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    cluster.ending = False
    thread = threading.Thread(target=server.serve_forever, args=(TICK_SECONDS,))
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        cluster.ending = True
        server.shutdown()
        thread.join()
        server.server_close()


def pod(number: int = 1, *, owner: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A pod with one container, as the API has it, shortened."""
    metadata: dict[str, Any] = {
        "name": f"cart-7d9f4-{number}",
        "namespace": "shop",
        "uid": uid(number),
        "labels": {"app": "cart", "pod-template-hash": "7d9f4"},
        "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"x" * 200: {}}}}],
    }
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {
        "kind": "Pod",
        "metadata": metadata | changes.pop("metadata", {}),
        "spec": {"nodeName": NODE, "containers": [{"name": "app"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [container("app", number)],
            **changes,
        },
    }


def container(name: str, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": "registry.example/shop/cart:1.2",
        "containerID": f"containerd://{container_id(number)}",
        "lastState": {},
        "ready": True,
    } | changes


def owner(kind: str, name: str, api: str = "apps/v1") -> dict[str, Any]:
    made = {"apiVersion": api, "kind": kind, "name": name, "uid": f"uid-of-{name}"}
    return {**made, "controller": True}


def uid(number: int) -> str:
    return f"0a1b2c3d-4e5f-6071-8293-{number:012x}"


def container_id(number: int) -> str:
    return f"{number:064x}"
