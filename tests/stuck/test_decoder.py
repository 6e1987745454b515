# SPDX-License-Identifier: Apache-2.0
"""Bytes of the kernel side to a `Stuck`, and what is no such record."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.errors import RecordError
from container_oomkill.incident.model import Host
from container_oomkill.incident.wire import lib
from container_oomkill.stuck.decoder import STUCK, decode_stuck

from ..support.incidents import BOOT_NS, MIB
from ..support.stuck import stuck_bytes

HOST = Host("node-1", "6.12", 4096, clock_offset_ns=1_000_000_000)
UNLIMITED = ((1 << 63) - 1) // 4096


def test_what_it_says() -> None:
    found = decode_stuck(stuck_bytes(seconds=3.5), HOST)
    assert (found.boot_ns, found.time) == (BOOT_NS, BOOT_NS / 1e9 + 1)
    assert (found.cgroup, found.cgroup_id) == ("/kubepods/pod1/app", 7)
    assert (found.usage_bytes, found.limit_bytes, found.high_bytes) == (24 * MIB, 24 * MIB, None)
    episode = found.stuck
    assert (episode.cause, episode.events, episode.seconds) == (None, 471, 3.5)
    assert episode.ended is False


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        (lib.OOMKILL_STUCK_DISABLED, "oom_disabled"),
        (lib.OOMKILL_STUCK_THROTTLED, "throttled"),
        (lib.OOMKILL_STUCK_HUGE_PAGE, "huge_page_refused"),
    ],
)
def test_a_cause_that_the_kernel_tells(cause: int, name: str) -> None:
    assert decode_stuck(stuck_bytes(cause=cause), HOST).stuck.cause == name


def test_no_limit_and_a_cgroup_that_is_gone() -> None:
    found = decode_stuck(
        stuck_bytes(path=b"", limit_pages=UNLIMITED, state=lib.OOMKILL_STUCK_ENDED), HOST
    )
    assert found.limit_bytes is None
    assert found.cgroup is None
    assert found.stuck.ended is True


@pytest.mark.parametrize(
    "record",
    [
        b"",
        stuck_bytes()[:-1],
        stuck_bytes(kind=lib.OOMKILL_VICTIM),
        stuck_bytes(layout=lib.OOMKILL_LAYOUT + 1),
        stuck_bytes(state=3),
        stuck_bytes(seconds=-1.0),
        stuck_bytes(began_ns=0),
        stuck_bytes(path=b"no end"),
    ],
)
def test_what_is_no_such_record(record: bytes) -> None:
    with pytest.raises(RecordError):
        decode_stuck(record, HOST)


@given(st.binary(min_size=STUCK.size, max_size=STUCK.size))
def test_any_bytes(data: bytes) -> None:
    with contextlib.suppress(RecordError):
        decode_stuck(data, HOST)
