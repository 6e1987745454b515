# SPDX-License-Identifier: Apache-2.0
"""A small server that speaks the part of Docker's API that is used, badly too."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    engine: Engine

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self.engine.faults:
            answer = self.engine.faults.pop(0)
            if isinstance(answer, int):
                return self.send_error(answer)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)
            return None
        self.send_response(200)
        self.end_headers()
        if url.path == "/events":
            while (event := self.engine.events.get()) is not None:
                self.wfile.write(json.dumps(event).encode() + b"\n")
            return None
        filters = json.loads(parse_qs(url.query).get("filters", ["{}"])[0])
        wanted = filters.get("id", list(self.engine.containers))
        found = [self.engine.containers[each] for each in wanted if each in self.engine.containers]
        self.wfile.write(json.dumps(found).encode())
        return None

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that go away are what is tested."""


class Engine:
    """What the server has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.containers: dict[str, Any] = {}
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.faults: list[int | bytes] = []

    def start(self, container_id: str, name: str, action: str = "start") -> None:
        entry = {"Id": container_id, "Names": [f"/other/{name}", f"/{name}"], "Image": "nginx:1"}
        self.containers[container_id] = entry
        self.events.put({"Action": action, "Actor": {"ID": container_id}})

    def remove(self, container_id: str) -> None:
        del self.containers[container_id]
        self.events.put({"Action": "destroy", "Actor": {"ID": container_id}})

    @contextmanager
    def serving(self) -> Iterator[None]:
        handler = type("Bound", (Handler,), {"engine": self})
        with Server(str(self.path), handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield
            finally:
                self.events.put(None)
                server.shutdown()
                thread.join()
                self.path.unlink()
