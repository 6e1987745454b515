# SPDX-License-Identifier: Apache-2.0
"""Addresses of the kernel's functions, from its own table and from tables of every kind."""

from __future__ import annotations

from collections.abc import Iterable
from io import DEFAULT_BUFFER_SIZE as BUFFER
from pathlib import Path

import pytest

from container_oomkill.incident.kernel_symbols import ROLES
from container_oomkill.probe.kernel_functions import (
    LONGEST,
    KernelFunctions,
    are_addresses_shown,
)

TABLE = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81050000 t moom_callback.cold
ffffffff81050010 t do_nothing
ffffffff81100000 T do_anonymous_page.isra.0
ffffffff81100080 t do_anonymous_page.cold
ffffffff81100090 T handle_mm_fault
ffffffff811000f0 D handle_mm_fault
ffffffff81a00000 t sysrq_handle_moom
ffffffff81a00040 t moom_callback
ffffffff81a00040 t moom_callback.cold_start
ffffffff81a00120 t sysrq_handle_crash
ffffffffc0400000 t moom_callback\t[other]
"""


def functions(tmp_path: Path, table: str, wanted: Iterable[str] = ROLES) -> KernelFunctions:
    file = tmp_path / "kallsyms"
    file.write_text(table)
    made = KernelFunctions(str(file), wanted=wanted)
    made.read()
    return made


def find(tmp_path: Path, table: str) -> tuple[int, int] | None:
    return functions(tmp_path, table, ["moom_callback"]).find("moom_callback")


def test_from_its_start_to_the_next_symbols(tmp_path: Path) -> None:
    assert find(tmp_path, TABLE) == (0xFFFFFFFF81A00040, 0xFFFFFFFF81A00120)


@pytest.mark.parametrize("before", [*range(BUFFER - 90, BUFFER + 90, 7), 3 * BUFFER])
def test_wherever_it_is_in_the_table(tmp_path: Path, before: int) -> None:
    """It is read in pieces, so its line may be in two of them, and the next symbol in another."""
    line = "ffffffff81000000 T other\n"
    others = line * (before // len(line))
    padding = "ffffffff81000000 T " + "x" * (before - len(others)) + "\n"
    found = find(tmp_path, others + padding + TABLE)
    assert found == (0xFFFFFFFF81A00040, 0xFFFFFFFF81A00120)


@pytest.mark.parametrize(
    "table",
    ["", "0000000000000000 t moom_callback\n0000000000000000 t next\n", "ffff t moom_callback_x\n"],
    ids=["empty", "hidden", "another"],
)
def test_what_is_not_there_or_hidden_is_unknown(tmp_path: Path, table: str) -> None:
    assert find(tmp_path, table) is None
    assert functions(tmp_path, table).symbols([0, 1, 0xFFFFFFFF81A00050]) is None


def test_the_last_symbol_has_a_bound(tmp_path: Path) -> None:
    table = "00000000000000a0 t moom_callback\n"
    assert find(tmp_path, table) == (0xA0, 0xA0 + LONGEST)


def test_a_kernel_without_a_table_says_nothing(tmp_path: Path) -> None:
    with KernelFunctions(str(tmp_path / "none")) as made:
        made.read()
        assert made.find("moom_callback") is None
        assert made.symbols([1]) is None


def test_a_table_that_cannot_be_read_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[KernelFunctions] = []
    with KernelFunctions("/proc/self/mem", on_read=told.append) as functions:  # nothing is at 0
        functions.read()  # as its thread does, before anything is killed
        assert functions.symbols([0x1000]) is None
        assert functions.find("out_of_memory") is None
    assert told == [functions]
    said = "read /proc/self/mem: input/output error: what asked for memory may stay unknown"
    assert capsys.readouterr().err.count(said) == 1


def test_names_of_a_stack(tmp_path: Path) -> None:
    """A return address lies behind the call: at the end of a function if that never returns."""
    known = functions(tmp_path, TABLE)
    stack = [0xFFFFFFFF81A00041, 0xFFFFFFFF81100085, 0xFFFFFFFF81100010, 0xFFFFFFFF81000500, 5]
    assert known.symbols(stack) == ("moom_callback", "do_anonymous_page")
    assert known.symbols([0xFFFFFFFF81A00120]) == ("moom_callback",)
    assert known.symbols([0xFFFFFFFF811000F0]) == ("handle_mm_fault",)
    assert known.symbols([0xFFFFFFFF81A00040]) == known.symbols([0xFFFFFFFF81A00121]) == ()
    assert known.symbols([]) == ()


def test_it_is_read_once_by_whoever_asks_first(tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text(TABLE)
    told: list[KernelFunctions] = []
    with KernelFunctions(str(file), on_read=told.append) as made:
        file.unlink()
        assert made.symbols([0xFFFFFFFF81A00041]) == ("moom_callback",)
        made.read()
    assert told == [made]


@pytest.mark.parametrize(
    ("table", "shown"),
    [
        (TABLE, True),
        ("", False),
        ("0000000000000000 A fixed_percpu_data\n0000000000000000 T _stext\n", False),
        ("0000000000000000 A fixed_percpu_data\n0000000000001000 A cpu_debug_store\nx\n", True),
    ],
)
def test_whether_addresses_are_shown(tmp_path: Path, table: str, shown: bool) -> None:
    file = tmp_path / "kallsyms"
    assert not are_addresses_shown(str(file))
    file.write_text(table)
    assert are_addresses_shown(str(file)) is shown


def test_of_this_kernel_little_is_kept() -> None:
    with KernelFunctions() as made:
        made.read()
        if made.symbols([]) is None:
            pytest.skip("this kernel shows its addresses to CAP_SYSLOG only")
        assert 30 < len(made._names) < 4 * len(ROLES)
        assert made._starts == sorted(made._starts)
