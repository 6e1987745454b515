# SPDX-License-Identifier: Apache-2.0
"""An engine's socket: a small server speaks the part of Docker's API that is used, badly too."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from container_oomkill.doctor.checks import examine_socket
from container_oomkill.doctor.report import Report
from container_oomkill.identity.resolver import Resolver
from container_oomkill.identity.runtimes.engine_socket import EngineSocket, read

from ...support.logged import logged
from ...support.trees import C, D
from ...support.waiting import eventually


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


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "socket")


def name(asked: EngineSocket, container_id: str = C) -> str | None:
    return Resolver(None, [asked]).container(f"/docker/{container_id}").name


def test_come_renamed_and_gone(engine: Engine, stack: ExitStack) -> None:
    engine.start(C, "web")
    stack.enter_context(engine.serving())
    asked = stack.enter_context(EngineSocket(str(engine.path)))
    eventually(lambda: name(asked) == "web")
    engine.start(D, "cart")
    eventually(lambda: name(asked, D) == "cart")
    engine.start(D, "basket", "rename")
    eventually(lambda: name(asked, D) == "basket")
    engine.remove(D)
    eventually(lambda: len(asked.store.live()) == 1)
    assert name(asked, D) == "basket"
    found = Resolver(None, [asked]).container(f"/docker/{C}")
    assert (found.image, found.runtime, found.unresolved) == ("nginx:1", "docker", None)


def test_what_went_while_the_engine_was_away(
    engine: Engine, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logged(monkeypatch)
    asked = stack.enter_context(EngineSocket(str(engine.path), first_seconds=0.02))
    eventually(lambda: log)
    assert "no such file" in log[0]
    engine.start(C, "web")
    with engine.serving():
        eventually(lambda: name(asked) == "web")
    engine.remove(C)
    engine.start(D, "cart")
    with engine.serving():
        eventually(lambda: name(asked, D) == "cart")
    assert [known.id for known in asked.store.live()] == [D]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([500], "/events: 500"),
        ([b"", 404], "/containers/json: 404"),
        ([b"", b"{"], "not JSON"),
        ([b"nothing\n", b"[]"], "not JSON"),
        ([b"", b"[" * 100_000], "not JSON"),
        ([b"", b'{"message": "busy"}'], "no list"),
    ],
)
def test_faults_are_one_line_and_passed(
    engine: Engine,
    stack: ExitStack,
    faults: list[int | bytes],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = logged(monkeypatch)
    engine.start(C, "web")
    engine.faults = faults
    stack.enter_context(engine.serving())
    path = str(engine.path)
    asked = stack.enter_context(EngineSocket(path, first_seconds=0.02))
    eventually(lambda: name(asked) == "web")
    assert len(log) == 1
    assert words in log[0]


def test_an_odd_answer_after_a_start(
    engine: Engine, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logged(monkeypatch)
    engine.start(C, "web")
    stack.enter_context(engine.serving())
    path = str(engine.path)
    asked = stack.enter_context(EngineSocket(path, first_seconds=0.02))
    eventually(lambda: name(asked) == "web" and engine.events.empty())
    engine.faults = [b"5"]
    engine.start(D, "cart")
    eventually(lambda: name(asked, D) == "cart")
    assert [line for line in log if "no list" in line] == log[:1]


@pytest.mark.parametrize(
    "entry",
    [None, [], {}, {"Id": 5}, {"Id": "../x"}, {"Id": C, "Names": 5}, {"Id": C, "Names": [5]}]
    + [{"Id": C, "Names": names} for names in ([], ["/a\nb"], ["/" + "x" * 1000])],
)
def test_entries_that_name_nothing(entry: Any) -> None:
    known = read(entry)
    assert known is None or known.name is None


def test_doctor(engine: Engine) -> None:
    report = Report("6.12", "x86_64")
    examine_socket(report, str(engine.path))
    finding = report.findings["runtimes"]["socket"]
    assert not finding.ok
    assert "no such file" in finding.words
    engine.start(C, "web")
    with engine.serving():
        examine_socket(report, str(engine.path))
    assert report.findings["runtimes"]["socket"].words == f"1 container ({engine.path})"
