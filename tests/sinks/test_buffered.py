# SPDX-License-Identifier: Apache-2.0
"""A log that nobody reads, or whose disk is full, costs nothing but the log."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Iterator

import pytest

from container_oomkill.incident.model import Incident
from container_oomkill.sinks import buffered
from container_oomkill.sinks.buffered import BufferedSink

from ..support.incidents import incident
from ..support.waiting import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread may get no CPU for a while."""
    monkeypatch.setattr(buffered, "PATIENCE_SECONDS", PATIENCE_SECONDS)


def test_everything_is_written_in_order() -> None:
    written: list[int] = []
    sink: BufferedSink[Incident] = BufferedSink(
        lambda each: written.append(each.sequence), lambda: pytest.fail("lost"), size=50
    )
    for number in range(1, 50):
        sink(incident(number))
    sink.close()
    assert written == list(range(1, 50))


def test_what_does_not_fit_is_counted_and_nobody_waits() -> None:
    read = threading.Event()
    taken = threading.Event()
    lost: list[None] = []

    def blocked(_: Incident) -> None:
        taken.set()
        read.wait()

    sink = BufferedSink(blocked, lambda: lost.append(None), size=2)
    sink(incident(1))
    taken.wait()  # it is being written; two more wait, the others are lost
    for number in range(2, 10):
        sink(incident(number))
    assert len(lost) == 6
    read.set()
    sink.close()


def test_whoever_has_most_waiting_makes_way() -> None:
    """A user in a loop costs a neighbour nothing of a log that is behind."""
    read = threading.Event()
    taken = threading.Event()
    lost: list[None] = []
    written: list[int] = []

    def blocked(each: Incident) -> None:
        taken.set()
        read.wait()
        written.append(each.sequence)

    sink = BufferedSink(
        blocked,
        lambda: lost.append(None),
        size=4,
        whose=lambda each: each.sequence % 10,  # two neighbours, 1 and 2, and who is always killed
    )
    sink(incident(10))
    taken.wait()
    for number in (20, 30, 40, 50, 60, 11, 70, 22, 80, 31, 41):
        sink(incident(number))
    assert (len(lost), sink.depth(), sink.oldest()) == (7, 5, 10)
    read.set()
    sink.close()
    assert written == [10, 20, 30, 11, 22]


def test_what_is_not_written_at_the_end_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffered, "PATIENCE_SECONDS", 0.01)
    read = threading.Event()

    def blocked(_: Incident) -> None:
        read.wait()

    sink = BufferedSink(blocked, lambda: pytest.fail("lost"), size=5)
    for number in range(3):
        sink(incident(number))
    sink.close()
    read.set()
    assert (
        capsys.readouterr().err
        == "container-oomkill: dropped 3 incidents that the log had not written yet\n"
    )


def test_a_broken_log_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    def full(_: Incident) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    lost: list[None] = []
    sink = BufferedSink(full, lambda: lost.append(None), size=10)
    for number in range(3):
        sink(incident(number))
    sink.close()
    sink(incident(4))
    assert len(lost) == 4
    assert sink.oldest() is None
    errors = capsys.readouterr().err
    assert errors.count("stopped logging incidents: no space left on device") == 1


def test_a_bug_is_not_passed_over() -> None:
    def broken(_: Incident) -> None:
        raise ValueError("a bug")

    sink = BufferedSink(broken, lambda: pytest.fail("lost"), size=10)
    sink(incident(1))
    sink.close()
    assert sink.oldest() is None  # holds nothing in the ring
    with pytest.raises(ValueError, match="a bug"):
        sink(incident(2))


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_a_log_that_breaks_while_it_is_full_and_given_more() -> None:
    def full(_: Incident) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    given = incident(1)
    for _ in range(500):
        lost: list[None] = []
        sink = BufferedSink(full, lambda lost=lost: lost.append(None), size=1)  # type: ignore[misc]
        for _ in range(40):
            sink(given)
        while sink.depth():
            pass
        sink.close()  # at once: nobody takes what still waits
        assert len(lost) == 40
        assert sink.oldest() is None
