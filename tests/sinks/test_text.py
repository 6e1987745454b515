# SPDX-License-Identifier: Apache-2.0
"""The text of incidents that are easily shown wrong."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from container_oomkill.incident.model import (
    Candidate,
    Container,
    Domain,
    Incident,
    Stat,
    Trigger,
)
from container_oomkill.sinks.formats import open_sink
from container_oomkill.sinks.printable import shorten, width
from container_oomkill.sinks.terminal import TerminalView
from container_oomkill.units import GIB, size

from ..support.incidents import MIB, container, incident, node_wide, victim


def shown(given: Incident) -> str:
    stream = io.StringIO()
    open_sink("text", stream)(given)
    return stream.getvalue()


def test_a_known_scope_is_told_even_where_the_limit_is_not() -> None:
    domain = Domain(cgroup="/a", usage_bytes=128 * MIB)
    headline = shown(incident(scope="pod", domain=domain)).splitlines()[0]
    assert headline.endswith("limit reached (its pod's)")


def test_two_blanks_in_a_name_cost_the_verdict_nothing() -> None:
    verdict = "its own limit: 96 % is anonymous memory of a  b; " + "and so on " * 30 + "to the end"
    text = shown(incident(verdict=verdict, victims=(victim(command="a  b"),)))
    why = text[text.index("why     ") + 8 :]
    assert " ".join(why.split()) == " ".join(verdict.split())
    assert max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("not_found", "no runtime has a container with this id"),
        ("too_big", "too_big"),
        ("a\nb", "a\\x0ab"),
    ],
)
def test_why_there_is_no_name(reason: str, words: str) -> None:
    text = shown(incident(container=container(None, unresolved=reason)))
    assert f"name    unknown: {words}\n" in text
    assert "name  " not in shown(incident())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
)
def test_a_terminal_gets_colour_unless_it_must_not(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    open_sink("text", stream)(incident())
    assert ("\033[" in stream.getvalue()) is coloured


def test_a_wide_character_takes_two_columns() -> None:
    assert width("漢字") == 4
    assert shorten("漢字" * 20, 10) == "漢…字漢字"


def test_sizes_are_in_mib_up_to_10_gib() -> None:
    assert size(10 * GIB - MIB) == "10239.0 MiB"
    assert size(10 * GIB) == "10.0 GiB"


@pytest.mark.parametrize("output", ["text", "json", "logfmt"])
def test_each_record_is_out_when_the_call_returns(output: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(_Raw(raw), 1 << 20), encoding="utf-8")
    open_sink(output, stream)(incident())
    assert raw.getvalue().endswith(b"\n")


class _Raw(io.RawIOBase):
    """What has left the buffers."""

    def __init__(self, out: io.BytesIO) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self._out.write(bytes(data))  # type: ignore[call-overload]


def lines(given: Incident, head: str) -> list[str]:
    return [line.strip() for line in shown(given).splitlines() if line.split()[0] == head]


def test_who_else_was_there() -> None:
    assert lines(incident(), "also") == [
        "also    gunicorn [4702] 2.1 MiB  sh [4699] 0.4 MiB adj -997"
    ]
    assert lines(incident(candidates=None), "also") == []
    assert lines(incident(candidates=()), "also") == []
    unknown = (Candidate(command="a  \x1b[31m"),)
    assert lines(incident(candidates=unknown), "also") == ["also    a  \\x1b[31m [?]"]


def test_of_another_container_is_said_with_its_name() -> None:
    other = Candidate(5, "mysqld", 2 * MIB, 0, 1, 13, "db")
    nameless = replace(other, pid=6, container="cd" * 32)
    own = replace(other, pid=7, container="app")
    assert lines(incident(candidates=(other, nameless, own)), "also") == [
        "also    mysqld [5] 2.0 MiB of db  mysqld [6] 2.0 MiB of cdcdcdcdcdcd  mysqld [7] 2.0 MiB"
    ]
    asker = Trigger(5, 5, "mysqld", "/kubepods/pod1/" + "cd" * 32, "cd" * 32, Container(name="db"))
    (asked,) = lines(incident(trigger=asker), "asked")
    assert asked.startswith("asked   mysqld [5]")
    assert asked.endswith("of db")


def test_where_the_memory_was_adds_up() -> None:
    expected = "memory  anon 124.0  file 0.8  shmem 0.2  kernel 3.0  page tables 0.5  slab 1.0 MiB"
    assert lines(incident(), "memory") == [expected]


def test_of_the_memory_only_what_is_known_is_shown() -> None:
    some = Domain(cgroup="/a", stat=Stat(anon_bytes=MIB, file_bytes=MIB, approximate=True))
    assert lines(incident(domain=some), "memory") == ["memory  anon 1.0 MiB  (approximate)"]
    for nothing in (Domain(cgroup="/a"), Domain(cgroup="/a", stat=Stat()), None):
        assert lines(incident(domain=nothing), "memory") == []


def test_a_command_line_is_harmless_and_takes_three_lines_at_most() -> None:
    assert lines(incident(), "cmdline") == []
    short = incident(victims=(victim(cmdline="app '\x1b[2J'"), victim(cmdline="worker 2")))
    assert lines(short, "cmdline") == ["cmdline app '\\x1b[2J'", "cmdline worker 2"]
    long = incident(victims=(victim(cmdline="java " + "-Dkey=value\n " * 80 + "last…"),))
    text = shown(long)
    assert len(text.splitlines()) <= len(shown(incident()).splitlines()) + 4
    assert "last…" in text
    assert all(line.isprintable() and len(line) <= 100 for line in text.splitlines())


def test_a_node_that_ran_out_has_who_held_it() -> None:
    text = " ".join(shown(node_wide()).split())
    assert "node anon 700.0 file 60.0 shmem 40.0" in text
    assert "held by shop/db-0/db 600.0 MiB kubelet.service 100.0 MiB" in text
    assert "charged to no cgroup 130.0 MiB" in text
    assert "held by" not in shown(incident())


def test_in_full_each_has_its_limit_its_request_and_its_growth() -> None:
    view = TerminalView(100, blocks=False, colour=False)
    rows = [line.split() for line in view.one(node_wide())]
    assert ["shop/db-0/db", "600.0", "800.0", "256.0", "+200.0"] in rows
    assert ["killed", "shop/cart-7d9f4/app", "80.0"] in rows
    assert ["cgroups", "that", "were", "removed", "40.0"] in rows
