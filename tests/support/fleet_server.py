# SPDX-License-Identifier: Apache-2.0
"""An API server whose pods are exporters of as many nodes as a test asks for, and their faults.

    python -m tests.support.fleet_server NODES INCIDENTS FOLDER

prints its URL and serves until its standard input ends: TLS by FOLDER/server.pem, if it is there.
By the pod proxy's path each node's exporter answers a query as the real one does (sinks/query.py).
"""

from __future__ import annotations

import json
import re
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from container_oomkill.cli.demo import RECORDING
from container_oomkill.cli.recording import read_recording
from container_oomkill.incident.model import Incident
from container_oomkill.sinks import json_lines
from container_oomkill.sinks.query import parse_query

from .api_server import status

NAMESPACE = "container-oomkill"
LABELS = "app.kubernetes.io/name=container-oomkill"
PROXY = re.compile(r"/api/v1/namespaces/([^/]+)/pods/(https:)?([^/:]+):(\d+)/proxy(/.*)")
PODS = re.compile(r"/api/v1(?:/namespaces/([^/]+))?/pods")
POD = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/:]+)")
INCIDENTS_MAX = 1000
TICK_SECONDS = 0.01


@dataclass
class Node:
    """One node with its exporter; ``incidents``: newest first.

    ``fault``: None: it answers; a number: that status; "hang": nothing; "trickle": bytes, one after
    another; "cut": half of the answer; bytes: that body. ``busy``: requests that get 429 first.
    """

    name: str
    incidents: list[Incident] = field(default_factory=list)
    fault: int | str | bytes | None = None
    busy: int = 0
    phase: str = "Running"
    ready: bool = True
    going: bool = False  # its pod has been deleted
    secure: bool = False
    port: int = 9262
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def pod(self) -> str:
        return f"oomkill-{self.name}"


class Fleet:
    """What the server has; for several threads."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = {node.pod: node for node in nodes}
        self.token: str | None = None
        self.may_list: tuple[str | None, ...] = (None, NAMESPACE)  # None: all namespaces
        self.may_proxy = True
        self.page_size = 250
        self.pods: dict[tuple[str, str], Any] = {}  # others
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ending = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    fleet: Fleet

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        fleet = self.fleet
        if fleet.ending.is_set():
            self.close_connection = True
            return None
        url = urlsplit(self.path)
        fields = dict(parse_qsl(url.query, keep_blank_values=True))
        path = unquote(url.path)
        fleet.asked.append((path, fields))
        if fleet.token and self.headers.get("Authorization") != f"Bearer {fleet.token}":
            return self._refuse(401, "Unauthorized", "Unauthorized")
        if proxied := PROXY.fullmatch(path):
            return self._proxy(proxied, fields)
        if listed := PODS.fullmatch(path):
            return self._list(listed[1], fields)
        if (named := POD.fullmatch(path)) and (named[1], named[2]) in fleet.pods:
            return self._json(fleet.pods[named[1], named[2]])
        return self._refuse(404, "NotFound", f"{path} not found")

    def _list(self, namespace: str | None, fields: dict[str, str]) -> None:
        fleet = self.fleet
        if namespace not in fleet.may_list:
            words = 'pods is forbidden: User "jane" cannot list resource "pods"'
            return self._refuse(403, "Forbidden", words)
        there = namespace in (None, NAMESPACE) and fields.get("labelSelector") == LABELS
        nodes = list(fleet.nodes.values()) if there else []
        start = int(fields.get("continue", "0"))
        end = start + min(int(fields["limit"]), fleet.page_size)
        metadata = {"continue": str(end)} if end < len(nodes) else {}
        return self._json({"metadata": metadata, "items": [*map(_pod, nodes[start:end])] or None})

    def _proxy(self, proxied: re.Match[str], fields: dict[str, str]) -> None:
        fleet = self.fleet
        node = fleet.nodes.get(proxied[3])
        if not fleet.may_proxy:
            words = 'pods "x" is forbidden: User "jane" cannot get resource "pods/proxy"'
            return self._refuse(403, "Forbidden", words)
        reached = node and (bool(proxied[2]), int(proxied[4])) == (node.secure, node.port)
        if node is None or proxied[1] != NAMESPACE or not reached:
            return self._refuse(404, "NotFound", f'pods "{proxied[3]}" not found')
        if node.busy:
            node.busy -= 1
            return self._refuse(429, "TooManyRequests", "try later", {"Retry-After": "0"})
        fault = node.fault
        if fault == "hang":
            fleet.ending.wait()
            self.close_connection = True
            return None
        if isinstance(fault, int):
            words = "error trying to reach service: dial tcp 10.0.0.7:9262: no route to host"
            return self._refuse(fault, "ServiceUnavailable", words)
        body = fault if isinstance(fault, bytes) else _answer(node, fields)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return None
        if fault == "trickle":
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if fleet.ending.wait(5 * TICK_SECONDS):
                    break
            self.close_connection = True
            return None
        self.wfile.write(body)
        return None

    def _json(self, thing: Any, code: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(thing).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _refuse(
        self, code: int, reason: str, words: str, headers: dict[str, str] | None = None
    ) -> None:
        self._json(status(code, reason, words), code, headers)


def _answer(node: Node, fields: dict[str, str]) -> bytes:
    """As web/routes.py; each record is rendered once, for the measurement is not of this."""
    query = parse_query(fields, limit_max=INCIDENTS_MAX, now=time.time())
    found = list(query.matching(node.incidents))
    first = (query.page - 1) * query.limit
    shown = found[first : first + query.limit]
    for each in shown:
        if each.id not in node.texts:
            node.texts[each.id] = json_lines.render(each)
    more = len(found) > first + query.limit
    lines = ",\n".join(node.texts[each.id] for each in shown)
    link = json.dumps("/next" if more else None)
    return f'{{"incidents": [\n{lines}\n], "total": {len(found)}, "next": {link}}}\n'.encode()


def _pod(node: Node) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/healthz", "scheme": "HTTPS" if node.secure else "HTTP"}}
    metadata: dict[str, Any] = {"name": node.pod, "namespace": NAMESPACE, "uid": node.pod}
    if node.going:
        metadata["deletionTimestamp"] = "2026-11-30T00:00:00Z"
    return {
        "metadata": {**metadata, "managedFields": [{"fieldsV1": {"f:x" * 500: {}}}]},
        "spec": {
            "nodeName": node.name,
            "containers": [
                {"name": "proxy", "ports": [{"containerPort": 1}]},
                {
                    "name": "exporter",
                    "ports": [{"name": "metrics", "containerPort": node.port}],
                    "livenessProbe": probe,
                },
            ],
        },
        "status": {
            "phase": node.phase,
            "conditions": [{"type": "Ready", "status": str(node.ready)}],
        },
    }


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Clients that go away are what is tested."""


@contextmanager
def serving(fleet: Fleet, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on the loopback interface, give the URL."""
    server = Quiet(("127.0.0.1", 0), type("Bound", (Handler,), {"fleet": fleet}))
    if context is not None:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    fleet.ending.clear()
    thread = threading.Thread(target=server.serve_forever, args=(TICK_SECONDS,))
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        fleet.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


def many(nodes: int, incidents: int) -> Fleet:
    """Real kills, those of the demo, over and over: on each node one a minute, until now."""
    recorded = list(read_recording(str(RECORDING)))
    now = time.time()
    made = []
    for number in range(nodes):
        name = f"worker-{number + 1}"
        its = [_again(recorded, number, each, name, now) for each in range(incidents)]
        texts = {each.id: json_lines.render(each) for each in its}
        made.append(Node(name, its, texts=texts))
    return Fleet(*made)


def _again(recorded: Sequence[Incident], node: int, number: int, name: str, now: float) -> Incident:
    source = recorded[(node + number) % len(recorded)]
    pod = f"cart-{node}-{number}"
    return replace(
        source,
        time=now - 60 * number - node / 10,
        boot_ns=10**12 + node * 10**10 - number * 10**9,
        sequence=10_000 - number,
        node=name,
        container=replace(source.container, pod=pod, namespace=f"team-{node % 7}"),
    )


def main(nodes: int, incidents: int, folder: Path) -> None:
    """See above."""
    context = None
    if (folder / "server.pem").exists():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with serving(many(nodes, incidents), context) as url:
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
