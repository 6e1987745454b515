# SPDX-License-Identifier: Apache-2.0
"""Sends bytes down the pipeline as if they came out of the ring; what is shown must be harmless."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator
from typing import cast

from container_oomkill.cli.show import show_incidents
from container_oomkill.incident.model import Incident
from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.checkpoint import Checkpoint
from container_oomkill.probe.probe import Probe
from container_oomkill.sinks.formats import open_sink
from container_oomkill.sinks.printable import width
from container_oomkill.system.shutdown import ShutdownRequest

from . import records

LAST = (1 << 64) - 2  # the number of the incident behind the fuzzed one


class Records:
    """Stands for hooks and their ring: some records, then no more."""

    number = 0
    older = ()
    discarded = 0
    size = 1 << 20

    def __init__(self, *waiting: bytes) -> None:
        self.checkpoint = Checkpoint()
        self.ring = self
        self.stop = ShutdownRequest()
        self._waiting = list(enumerate(waiting))

    def read(self) -> Iterator[tuple[bytes, int]]:
        while self._waiting:
            position, data = self._waiting.pop(0)
            yield data, position

    def wait(self, seconds: float | None) -> None:
        assert seconds is None or seconds >= 0
        self.stop.set()

    def counters(self) -> dict[str, int]:
        return {"lost_ring_full": 0}

    def kept(self) -> int:
        return 0

    def watch(self, fd: int, *, readable: bool) -> None: ...

    def release(self, position: int) -> None: ...


def flow(data: bytes) -> tuple[list[Incident], list[str]]:
    """Send a record and a sound one behind it down the pipeline; what was shown, and lost why."""
    shown: list[Incident] = []
    lost: list[str] = []
    source = Records(data, records.victim(head={"incident": LAST}))
    pipeline = Pipeline(
        cast("Probe", source), [shown.append], on_lost=lambda why, count: lost.extend([why] * count)
    )
    pipeline.run(source.stop)
    assert shown.pop().sequence == LAST
    return shown, lost


def harmless(text: str, columns: int | None) -> None:
    for line in text.removesuffix("\n").split("\n"):
        assert all(unicodedata.category(char)[0] != "C" for char in line), repr(line)
        assert columns is None or width(line) <= columns


def shown_harmlessly(incident: Incident) -> None:
    """In every format of lines for eyes, and by `show`, listed and alone."""
    for output in ("text", "logfmt"):
        stream = io.StringIO()
        open_sink(output, stream)(incident)
        harmless(stream.getvalue(), 100 if output == "text" else None)
    for wanted in (None, incident.id):
        stream = io.StringIO()
        show_incidents([incident], stream, wanted=wanted, colour="never")
        harmless(stream.getvalue(), None)
