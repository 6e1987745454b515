# SPDX-License-Identifier: Apache-2.0
"""Addresses of the kernel's functions, from its own table and from tables of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_oomkill.probe.kernel_functions import LONGEST, PIECE_BYTES, KernelFunctions

TABLE = """\
ffffffff81000000 T _stext
ffffffff81a00000 t sysrq_handle_moom
ffffffff81a00040 t moom_callback
ffffffff81a00040 t moom_callback.cold_start
ffffffff81a00120 t sysrq_handle_crash
ffffffffc0400000 t moom_callback\t[other]
"""


def find(tmp_path: Path, table: str) -> tuple[int, int] | None:
    file = tmp_path / "kallsyms"
    file.write_text(table)
    with KernelFunctions(str(file)) as functions:
        return functions.find("moom_callback")


def test_from_its_start_to_the_next_symbols(tmp_path: Path) -> None:
    assert find(tmp_path, TABLE) == (0xFFFFFFFF81A00040, 0xFFFFFFFF81A00120)


@pytest.mark.parametrize("before", [*range(PIECE_BYTES - 90, PIECE_BYTES + 90, 7), 3 * PIECE_BYTES])
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


def test_the_last_symbol_has_a_bound(tmp_path: Path) -> None:
    assert find(tmp_path, "00000000000000a0 t moom_callback\n") == (0xA0, 0xA0 + LONGEST)


def test_a_kernel_without_a_table_says_nothing(tmp_path: Path) -> None:
    with KernelFunctions(str(tmp_path / "none")) as functions:
        assert functions.find("moom_callback") is None
