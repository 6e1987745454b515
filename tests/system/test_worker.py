# SPDX-License-Identifier: Apache-2.0
"""A thread is ended, woken, given up on, and what it dies of is kept."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

import container_oomkill
from container_oomkill.errors import Error
from container_oomkill.system.worker import Worker

SOURCES = Path(container_oomkill.__file__).parent


def test_it_runs_under_its_name_until_it_is_told_to_end() -> None:
    worker = Worker("kubernetes")
    names: list[str] = []

    def run() -> None:
        names.append(threading.current_thread().name)
        while not worker.ending:
            worker.pause(60)  # ends at once

    assert not worker.started
    worker.start(run)
    assert worker.started
    assert worker.running
    assert worker.close(None)
    assert not worker.running
    worker.check()
    assert names == ["kubernetes"]


def test_it_is_woken_once_after_it_is_told() -> None:
    worker = Worker("events")
    waiting, woken = threading.Event(), []

    def wake() -> None:
        woken.append(worker.ending)
        waiting.set()

    worker.start(waiting.wait, wake=wake)
    assert worker.close(None)
    assert worker.close(None)
    assert woken == [True]


def test_one_that_hangs_is_left() -> None:
    worker = Worker("identity")
    release = threading.Event()
    worker.start(release.wait)
    assert not worker.close(0.01)
    assert worker.running
    release.set()
    assert worker.close(None)


@pytest.mark.parametrize("failure", [ValueError("a bug"), SystemExit(3)])
def test_what_it_dies_of_is_raised_to_whoever_asks(failure: BaseException) -> None:
    worker = Worker("web")

    seen: list[BaseException | None] = []

    def run() -> None:
        raise failure

    worker.start(run, failed=lambda: seen.append(worker.failure))
    assert worker.close(None)
    assert worker.failure is failure
    assert seen == [failure]
    for _ in range(2):
        with pytest.raises(type(failure)):
            worker.check()


def test_one_that_was_never_started_is_over() -> None:
    worker = Worker("engine")
    worker.check()
    assert worker.close()
    assert worker.ending


def test_there_is_no_other_thread() -> None:
    """Its failure would be printed, and the process would go on without it."""
    found = [
        f"{file.relative_to(SOURCES)}:{node.lineno}"
        for file in sorted(SOURCES.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute | ast.Name | ast.alias)
        and {getattr(node, "attr", ""), getattr(node, "id", ""), getattr(node, "name", "")}
        & {"Thread", "Timer", "ThreadPoolExecutor", "start_new_thread", "concurrent"}
    ]
    assert {each.partition(":")[0] for each in found} == {"system/worker.py"}, found


def test_one_that_the_system_gives_no_thread_is_not_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker("web-jobs")
    with monkeypatch.context() as none_left:
        refusal = Mock(side_effect=RuntimeError("can't start new thread"))
        none_left.setattr(threading, "_start_new_thread", refusal)
        with pytest.raises(Error, match=r"start a thread \(web-jobs\): can't start new thread: "):
            worker.start(lambda: None)
    assert not worker.started
    worker.start(lambda: None)  # there is room again
    assert worker.close(None)


def test_one_that_never_started_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker("web")
    refusal = Mock(side_effect=RuntimeError("can't start new thread"))
    monkeypatch.setattr(threading, "_start_new_thread", refusal)
    with pytest.raises(Error):
        worker.start(lambda: None)
    assert worker.close(None)
