# SPDX-License-Identifier: Apache-2.0
"""`make bench-gate`: what a change must not make worse, counted, so the same on every machine.

Times are `make bench`'s to tell. The limits are today's numbers, rounded up; a change that needs
more raises the limit in the same commit, with its reason. The verifier's steps are counted in
tests/kernel/test_verifier.py.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import cast

import pytest

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident import wire
from container_oomkill.incident.assembler import Assembler
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.host import read_host
from container_oomkill.incident.model import Incident
from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.probe import Probe
from container_oomkill.system.later import SELDOM_USED

from ..support.commands import imported
from ..support.hooks import Hooks
from ..support.incidents import FakeProbe
from ..support.records import victim

# Modules before the hooks are attached: of Python, by name, and how many of our own.
OF_PYTHON = {
    *("__future__", "_cffi_backend", "_operator", "_struct", "binascii", "encodings.ascii"),
    *("errno", "itertools", "mmap", "select", "struct", "types"),
}
OWN = {"probe": 49, "exporter": 54}
# From the bytes of one kill to its metrics, and to its page.
CALLS_TO_COUNT = 410
CALLS = 1_500
KEPT_BYTES = 4_700
KEPT_BLOCKS = 45
# In the ring buffer, without paths and command line.
RECORD_BYTES = {"victim": 2_080, "before": 1_784}
KILLS = 200


@pytest.mark.parametrize("command", OWN)
def test_modules_before_attaching(command: str) -> None:
    found = imported(command, "--hook", "kprobe", "--node", "here")
    ours = {name for name in found if name.partition(".")[0] == "container_oomkill"}
    assert found - ours - {*SELDOM_USED} <= OF_PYTHON
    assert len(ours) <= OWN[command], sorted(ours)


def test_bytes_of_a_record() -> None:
    found = {"victim": wire.VICTIM.size, "before": wire.BEFORE.size}
    assert all(found[name] <= most for name, most in RECORD_BYTES.items()), found


def record(number: int) -> bytes:
    """A kill in a container of its own."""
    path = b"%012x%052x\0docker\0" % (number, 0)
    return victim(
        paths=dict.fromkeys(("domain", "trigger_memcg", "victim_memcg"), path),
        head={"sequence": number, "incident": number},
        process__pid=number,
    )


@pytest.fixture
def take() -> Callable[[int, bytes], None]:
    """Take a kill the whole way but for the kernel."""
    exporter = Exporter(ExporterSettings(), FakeProbe(), version="0", render=str)
    assembler = Assembler(Decoder(read_host("here")), lambda: 0.0, lambda: None, None)

    def one(number: int, data: bytes) -> None:
        for incident, _ in assembler.take(data, number):
            exporter.sink(explain(resolve(incident)))

    one(1, record(1))  # it fills caches
    return one


def calls_of(run: Callable[[], None]) -> int:
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls


def test_calls_for_a_kill(take: Callable[[int, bytes], None]) -> None:
    data = record(2)
    calls = calls_of(lambda: take(2, data))
    assert 0 < calls <= CALLS, calls


def test_calls_until_a_kill_is_counted() -> None:
    """The verdict, the history, signs of life: whatever is not counted comes later."""
    exporter = Exporter(ExporterSettings(), FakeProbe(), version="0", render=str)
    calls: list[int] = []

    def count(incident: Incident) -> None:
        exporter.metrics(incident)
        sys.setprofile(None)

    for number in (1, 2):  # the first one fills caches
        hooks = Hooks(1, record(number))
        pipeline = Pipeline(cast("Probe", hooks), [exporter.show], count=count)
        calls.append(calls_of(partial(pipeline.run, hooks.stop)))
    assert 0 < calls[-1] <= CALLS_TO_COUNT, calls


def test_what_is_kept_of_a_kill(take: Callable[[int, bytes], None]) -> None:
    """In the history and in the metrics, each of another container."""
    records = {number: record(number) for number in range(2, 2 + KILLS)}
    gc.collect()
    blocks = sys.getallocatedblocks()
    tracemalloc.start()
    try:
        for number, data in records.items():
            take(number, data)
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] / KILLS
    finally:
        tracemalloc.stop()
    made = (sys.getallocatedblocks() - blocks) / KILLS
    assert 0 < kept <= KEPT_BYTES, kept
    assert 0 < made <= KEPT_BLOCKS, made
