# SPDX-License-Identifier: Apache-2.0
"""Bytes to kills: units, unknowns, what ended whom; and no bytes that crash it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.errors import RecordError
from container_oomkill.incident.model import Host
from container_oomkill.incident.wire import lib
from container_oomkill.killers.decoder import KILL, decode_kill, signal_name
from container_oomkill.killers.model import Kill, Stop

from ..support.kills import kill_bytes

HOST = Host("node", "6.12", 4096, clock_offset_ns=1_700_000_000_000_000_000)


def decode(**fields: object) -> Kill:
    return decode_kill(kill_bytes(**fields), HOST)  # type: ignore[arg-type]


def test_who_and_where() -> None:
    kill = decode(
        target="/docker/abc",
        sender="/system.slice/containerd.service",
        flags=lib.OOMKILL_KILL_INIT | lib.OOMKILL_KILL_ABOVE,
        target__pid=41,
        target__pid_in_ns=1,
        target__comm=b"nginx",
        target__start_boottime_ns=87_000_000_000,
        sender__pid=42,
        sender__comm=b"runc",
        sender__parent_comm=b"containerd-shim",
        stop_ns=80_000_000_000,
        stop_signal=15,
        stop_pid=40,
        stop_comm=b"runc",
    )
    target, killer = kill.target, kill.killer
    assert (kill.time, kill.id) == (1_700_000_090.0, "14f46b0400-k41")
    assert (target.command, target.pid, target.pid_in_container) == ("nginx", 41, 1)
    assert (target.is_init, target.uptime_seconds, target.cgroup) == (True, 3.0, "/docker/abc")
    assert (killer.command, killer.pid, killer.parent_command) == ("runc", 42, "containerd-shim")
    assert (killer.how, killer.is_above, killer.is_inside) == ("signal", True, False)
    assert killer.cgroup == "/system.slice/containerd.service"
    assert (killer.exit_code, killer.exit_signal) == (None, None)
    assert kill.stop == Stop(signal="SIGTERM", seconds_before=10.0, pid=40, command="runc")


@pytest.mark.parametrize(
    ("flags", "how"),
    [
        (0, "signal"),
        (lib.OOMKILL_KILL_BY_CGROUP, "cgroup_kill"),
        (lib.OOMKILL_KILL_NAMESPACE_END | lib.OOMKILL_KILL_SENDER_EXITING, "namespace_end"),
        (lib.OOMKILL_KILL_SENDER_EXITING, "parent_end"),
        (lib.OOMKILL_KILL_SHARED_MEMORY, "shared_memory"),
    ],
)
def test_how_it_was_sent(flags: int, how: str) -> None:
    assert decode(flags=flags).killer.how == how


@pytest.mark.parametrize(
    ("status", "code", "signal"), [(0, 0, None), (3 << 8, 3, None), (11, None, "SIGSEGV")]
)
def test_how_the_sender_ended(status: int, code: int | None, signal: str | None) -> None:
    killer = decode(exit_code=status).killer
    assert (killer.exit_code, killer.exit_signal) == (code, signal)


def test_unknown_is_none_and_never_zero() -> None:
    kill = decode(
        target__pid_in_ns=lib.OOMKILL_UNKNOWN_U32,
        target__start_boottime_ns=lib.OOMKILL_UNKNOWN,
        target__oom_score_adj=lib.OOMKILL_UNKNOWN_S32,
        sender__cgroup_id=lib.OOMKILL_UNKNOWN,
    )
    assert (kill.target.pid_in_container, kill.target.uptime_seconds) == (None, None)
    assert (kill.target.oom_score_adj, kill.killer.cgroup, kill.stop) == (None, None, None)


def test_a_cut_path_shows_that_it_is_cut() -> None:
    kill = decode(target="/pod/app", target__cgroup_flags=lib.OOMKILL_MEMCG_PATH_CUT)
    assert kill.target.cgroup == "…/pod/app"


@pytest.mark.parametrize(
    ("number", "name"),
    [(15, "SIGTERM"), (3, "SIGQUIT"), (34, "SIGRTMIN"), (37, "SIGRTMIN+3"), (0, "signal 0")],
)
def test_signals_have_names(number: int, name: str) -> None:
    assert signal_name(number) == name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        kill_bytes()[: KILL.size - 1],
        kill_bytes() + b"\0",
        kill_bytes(layout=lib.OOMKILL_LAYOUT - 1),
        kill_bytes(kind=lib.OOMKILL_VICTIM),
        kill_bytes(boot_ns=0),
        kill_bytes(target="/a", target__path_size=9),
        kill_bytes(target="/abc", target__path_size=3),
    ],
)
def test_what_the_kernel_does_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        decode_kill(data, HOST)


@given(st.binary(min_size=KILL.size, max_size=KILL.size + 64))
def test_no_bytes_crash_it(data: bytes) -> None:
    head = kill_bytes()[: KILL.offsets["flags"]]
    sized = bytearray(head + data[len(head) :])
    sized[KILL.offsets["size"] : KILL.offsets["size"] + 4] = len(sized).to_bytes(4, "little")
    try:
        decode_kill(bytes(sized), HOST)
    except RecordError as error:
        assert "record" in str(error)  # noqa: PT017 - either outcome is right
