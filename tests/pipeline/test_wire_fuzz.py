# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes come out of the ring: shown, or lost with a reason; and the next one is shown."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.incident import wire
from container_oomkill.incident.wire import lib
from container_oomkill.sinks.formats import open_sink
from container_oomkill.sinks.record import from_object, to_object

from ..support import records
from ..support.http_client import ask, get, make_exporter
from ..support.wire_flow import flow, shown_harmlessly

BROKEN = "broken_record"
# What each width can hold: what occurs, anything, and the values next to which things break.
NUMBERS = {
    "B": st.integers(0, 3) | st.integers(0, (1 << 8) - 1),
    "H": st.integers(0, 30) | st.integers(0, (1 << 16) - 1),
    "I": st.integers(0, 64) | st.integers(0, (1 << 32) - 1) | st.just((1 << 32) - 1),
    "i": st.integers(-1000, 1000) | st.integers(-(1 << 31), (1 << 31) - 1),
    "Q": st.integers(0, 1 << 20)
    | st.integers(0, (1 << 64) - 1)
    | st.sampled_from([(1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
    "q": st.integers(-1000, 1000) | st.integers(-(1 << 63), (1 << 63) - 1),
}
TEXTS = [b"app", b"", b"a  b; 7 %", b"\x1b[2J\r\n\x07", b"\xff\x80", b"\xe2\x80\xae\xc2\x9b31m"]
STRINGS = [b"", b"app\0pod\0kubepods\0", b"\x1b]0;x\x07\0\n\0--x=\xc2\x85\0", b"no end"]
CODES = re.findall(r"\d*([a-zA-Z])", wire.VICTIM.format.format)
ODD = {
    name: NUMBERS.get(code, st.sampled_from(TEXTS))
    for name, code in zip(wire.VICTIM.names, CODES, strict=True)
}
NOISE = st.binary(min_size=wire.VICTIM.size, max_size=wire.VICTIM.size)
SETTINGS = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@st.composite
def victims(draw: st.DrawFn, /, **known: Any) -> bytes:
    """A victim record: any bytes at all, or a few odd values among noughts, or among unknowns.

    The fields that are ``known`` and those of its size and layout are as they should be.
    """
    strings = draw(st.sampled_from(STRINGS) | st.binary(max_size=80))
    rest = draw(st.sampled_from([b"\0", b"\xff"]).map(lambda fill: fill * wire.VICTIM.size) | NOISE)
    values = dict(zip(wire.VICTIM.names, wire.VICTIM.format.unpack(rest), strict=True))
    for name in draw(st.lists(st.sampled_from(wire.VICTIM.names), max_size=20, unique=True)):
        values[name] = draw(ODD[name])
    values |= {"header.layout": lib.OOMKILL_LAYOUT, "header.size": wire.VICTIM.size + len(strings)}
    values |= {"header.sequence": 1} | known
    return wire.VICTIM.format.pack(*values.values()) + strings


KILLS = victims(**{"header.kind": lib.OOMKILL_VICTIM})


@SETTINGS
@given(victims() | KILLS)
def test_a_record_is_shown_or_lost_with_a_reason(data: bytes) -> None:
    shown, lost = flow(data)
    head = wire.HEADER.unpack(data)
    if head["kind"] == lib.OOMKILL_END:
        assert (shown, lost) == ([], [] if head["incident"] and head["boot_ns"] else [BROKEN])
    else:
        assert len(shown) + len(lost) == 1
    assert set(lost) <= {BROKEN}


@SETTINGS
@given(KILLS, st.integers(0, wire.VICTIM.size + 20))
def test_a_record_of_another_size_is_lost(data: bytes, size: int) -> None:
    """Cut, or with more behind it, whatever it says of its size."""
    longer = data[:size].ljust(size, b"\1")
    if len(longer) != len(data):
        assert flow(longer) == ([], [BROKEN])


@SETTINGS
@given(st.binary(max_size=64))
def test_bytes_that_are_no_record_are_lost(data: bytes) -> None:
    assert flow(data) == ([], [BROKEN])


@SETTINGS
@given(KILLS)
def test_what_is_shown_is_harmless_and_read_back_alike(data: bytes) -> None:
    shown, _ = flow(data)
    for incident in shown:
        shown_harmlessly(incident)
        stream = io.StringIO()
        open_sink("json", stream)(incident)
        assert from_object(json.loads(stream.getvalue())) == from_object(to_object(incident))


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with make_exporter() as made:
        made.start()
        yield made


@settings(SETTINGS, max_examples=60)
@given(data=KILLS)
def test_it_is_served(exporter: Exporter, data: bytes) -> None:
    shown, _ = flow(data)
    for incident in shown:
        exporter.sink(incident)
        for path in ("/", f"/incidents/{incident.id}", "/metrics"):
            answer = ask(exporter.addresses[0], get(path))
            assert answer.status == 200
            assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", answer.body)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"head": {"kind": 77}}, "kind 77"),
        ({"head": {"boot_ns": lib.OOMKILL_UNKNOWN}}, "no boot_ns"),
        ({"head": {"incident": lib.OOMKILL_UNKNOWN}}, "no incident"),
        ({"head": {"incident": 0}}, "no incident"),
        ({"head": {"sequence": lib.OOMKILL_UNKNOWN}}, "no sequence"),
        ({"domain__id": 5, "domain__path_offset": 1, "domain__path_size": 9}, "domain"),
        ({"cmdline_offset": 8, "cmdline_size": 1}, "cmdline"),
        ({"paths": {"victim_memcg": b"no end"}}, "victim_memcg"),
    ],
)
def test_the_reason_is_said(
    fields: dict[str, Any], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert flow(records.victim(**fields)) == ([], [BROKEN])
    assert reason in capfd.readouterr().err


def test_more_bytes_than_there_can_be_are_unknown() -> None:
    (incident,), lost = flow(
        records.victim(
            paths={"domain": b"app\0"},
            domain__usage_pages=1 << 63,
            domain_stat__kernel_stack_kib=1 << 60,
            process__anon_pages=(1 << 64) - 2,
        )
    )
    assert lost == []
    assert incident.domain is not None
    assert incident.domain.stat is not None
    assert incident.domain.usage_bytes is None
    assert incident.domain.stat.kernel_stack_bytes is None
    assert incident.victims[0].rss.anon_bytes is None
