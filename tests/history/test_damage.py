# SPDX-License-Identifier: Apache-2.0
"""A history file cut or damaged anywhere opens again, and costs one incident at most."""

from __future__ import annotations

import io
import random
from contextlib import closing
from pathlib import Path

import pytest

from container_oomkill.history.lines import Content, is_ours, read_lines, sealed
from container_oomkill.sinks.json_lines import render

from ..support.history import names, numbers, opened, put
from ..support.incidents import incident

TWO = "".join(render(incident(number)) + "\n" for number in (1, 2)).encode()
TWELVE = "".join(render(incident(number)) + "\n" for number in range(1, 13)).encode()
NEWLINE = ord("\n")


def read(data: bytes) -> Content:
    assert is_ours(data)
    return read_lines(io.BytesIO(data), max_incidents=256, max_line=1 << 20)


def sequences(content: Content) -> list[int]:
    return [each.sequence for each in content.incidents]


def kept_by_lines(data: bytes, content: Content) -> bytes:
    return b"".join(data[each.start : each.start + each.size] + b"\n" for each in content.lines)


def test_cut_at_every_byte_it_lacks_the_last_alone() -> None:
    first = TWO.index(b"\n")
    for cut in range(len(TWO)):
        content = read(TWO[:cut])
        assert sequences(content) == [1][: cut >= first] + [2][: cut == len(TWO) - 1]
        assert content.torn == (cut not in (0, first, first + 1, len(TWO) - 1))
        assert content.broken == 0
        assert kept_by_lines(TWO, content) == TWO[: len(kept_by_lines(TWO, content))]


def test_a_damaged_byte_anywhere_costs_its_own_incident_alone() -> None:
    chance = random.Random(1)
    first = TWO.index(b"\n")
    for at, byte in enumerate(TWO):
        for other in {byte ^ 0x80, NEWLINE, chance.randrange(256)} - {byte}:
            data = TWO[:at] + bytes([other]) + TWO[at + 1 :]
            content = read(data)
            spared = 2 if at < first else 1
            assert len(content.incidents) >= 1
            assert spared in sequences(content) or at == first
            if at in (first, len(TWO) - 1):  # no incident's
                assert sequences(content) == [1, 2]
            if len(content.incidents) < 2:  # not a value that could be
                assert content.broken or content.later
            assert not content.torn


SEALED = b"".join(sealed(render(incident(number)).encode()) + b"\n" for number in (1, 2))


def test_every_flipped_bit_is_noticed() -> None:
    """In digits and text as well, which would say something else; the other incident is kept."""
    before = list(read(SEALED).incidents)
    record = SEALED.index(b',"crc32":"')
    for at in range(SEALED.index(b"\n")):
        data = bytearray(SEALED)
        data[at] ^= 1 << at % 8
        content = read(bytes(data))
        # Damage to the checksum itself may leave the record as one that never had any.
        assert list(content.incidents) in ([before[1:]] if at < record else [before[1:], before])
        assert content.broken or at >= record


def cuts(step: int) -> list[int]:
    """Offsets all over the twelve, at their ends and beside them."""
    ends = [at for at, byte in enumerate(TWELVE) if byte == NEWLINE]
    near = {end + by for end in ends for by in (-1, 0, 1, 2)}
    return sorted(cut for cut in near | set(range(0, len(TWELVE), step)) if cut < len(TWELVE))


def test_a_cut_file_goes_on_behind_its_last_whole_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for cut in cuts(499):
        whole = TWELVE[: cut + 1].count(b"\n")  # one that lacks its end alone is whole
        path = put(tmp_path / "cut", TWELVE[:cut])
        with closing(opened(path)) as file:
            assert [each.sequence for each in file.load()] == list(range(1, whole + 1))
            said = capsys.readouterr().err
            torn = TWELVE[:cut].count(b"\n") == whole and TWELVE[cut - 1] != NEWLINE
            words = f"container-oomkill: the history {path} was cut off: "
            words += "dropped its last, incomplete incident\n"
            assert said == (words if torn and cut else "")
            file(incident(13))
        assert numbers(path) == [*range(1, whole + 1), 13]
        assert capsys.readouterr().err == ""
        assert names(path) == ["history"]


def test_a_damaged_file_is_put_aside_and_the_rest_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in cuts(997):
        damaged = TWELVE[:at] + b"\x80" + TWELVE[at + 1 :]
        path = put(tmp_path / "damaged", damaged)
        kept = numbers(path)
        assert len(kept) >= 11
        [aside] = path.parent.glob("history.broken-*")
        assert aside.read_bytes() == damaged
        assert aside.stat().st_mode & 0o777 == 0o600
        assert capsys.readouterr().err == (
            f"container-oomkill: the history {path} was damaged: recovered {len(kept)} "
            f"incidents, the damaged file is now {aside}\n"
        )
        with closing(opened(path)) as file:
            file(incident(13))
        assert numbers(path) == [*kept, 13]
        assert capsys.readouterr().err == ""


def test_rubbish_in_the_middle_costs_what_was_there(tmp_path: Path) -> None:
    chance = random.Random(2)
    for size in (200, 4096):  # a block at most is not what was written
        for _ in range(20):
            at = chance.randrange(len(TWELVE) - size)
            broken = TWELVE[:at] + chance.randbytes(size) + TWELVE[at + size :]
            path = put(tmp_path / "broken", broken)
            kept = numbers(path)
            assert len(kept) >= 12 - 2 - size // len(render(incident(1)))
            assert set(kept) <= set(range(1, 13))
            with closing(opened(path)) as file:
                file(incident(13))
            assert numbers(path) == [*kept, 13]


@pytest.mark.parametrize("size", [1, 4096])
def test_zeros_where_the_disk_wrote_nothing(tmp_path: Path, size: int) -> None:
    assert numbers(put(tmp_path / "alone", bytes(size))) == []
    assert numbers(put(tmp_path / "behind", TWELVE + bytes(size))) == list(range(1, 13))
    assert numbers(put(tmp_path / "before", bytes(size) + TWELVE)) == list(range(1, 13))


def test_one_made_of_other_numbers_than_its_id_is_damaged(tmp_path: Path) -> None:
    path = put(tmp_path / "number", TWO.replace(b'"sequence":1', b'"sequence":7'))
    assert numbers(path) == [2]


def test_a_second_damage_within_a_second_is_put_aside_too(tmp_path: Path) -> None:
    path = put(tmp_path / "twice", b"x" + TWO)
    for _ in range(3):
        assert numbers(path) == [1, 2]
        path.write_bytes(b"x" + path.read_bytes())
    assert len(list(path.parent.glob("history.broken-*"))) == 3


def test_brackets_without_end_are_no_record(tmp_path: Path) -> None:
    path = put(tmp_path / "deep", TWO + b'{"schema":' + b"[" * 100_000 + b"\n")
    assert numbers(path) == [1, 2]
