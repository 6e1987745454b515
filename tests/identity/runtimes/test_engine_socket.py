# SPDX-License-Identifier: Apache-2.0
"""An engine's socket: a small server speaks the part of Docker's API that is used, badly too."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.doctor.checks import examine_socket
from container_oomkill.doctor.report import Report
from container_oomkill.identity.resolver import Resolver
from container_oomkill.identity.runtimes.engine_socket import (
    ANSWER_MAX,
    LINE_MAX,
    EngineSocket,
    read,
)

from ...support.engine_server import Engine
from ...support.logged import logged
from ...support.trees import C, D
from ...support.waiting import eventually


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
        ([b"", b"[" + b"{}," * 100_000 + b"{}]"], "too much of it"),
        ([b"", b'{"message": "busy"}'], "no list"),
        ([b"", b"[" + b" " * ANSWER_MAX + b"]"], "more than 4 MiB"),
        ([b'{"Action": "%s"}' % (b"x" * LINE_MAX), b"[]"], "not JSON"),
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


def test_an_answer_without_end_is_not_read_to_it(
    engine: Engine, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logged(monkeypatch)
    engine.start(C, "web")
    engine.faults = [b"", bytes(16 * ANSWER_MAX)]
    stack.enter_context(engine.serving())
    tracemalloc.start()
    try:
        asked = stack.enter_context(EngineSocket(str(engine.path), first_seconds=0.02))
        eventually(lambda: name(asked) == "web")
        assert tracemalloc.get_traced_memory()[1] < 4 * ANSWER_MAX
    finally:
        tracemalloc.stop()
    assert len(log) == 1


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
