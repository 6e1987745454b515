# SPDX-License-Identifier: Apache-2.0
"""What the kills of a container have in common."""

from __future__ import annotations

import pytest

from container_oomkill.diagnosis.habit import find_habit, rhythm, shape_words
from container_oomkill.incident.before import Before
from container_oomkill.incident.model import Incident
from container_oomkill.incident.shapes import SHAPES

from ..support.incidents import TIME, incident

HOUR = 3600.0


def kills(*shapes: str | None, every: float = 6 * HOUR) -> list[Incident]:
    """Newest first; None: nothing was recorded."""
    return [
        incident(
            len(shapes) - number,
            time=TIME - number * every,
            before=None if shape is None else Before(shape=shape),
        )
        for number, shape in enumerate(shapes)
    ]


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (("leak",), "leak"),
        (("start_up",), "start-up"),
        (("leak",) * 2, "leak, 2nd time in a row"),
        (("leak",) * 3, "leak, 3rd time in a row"),  # two distances may be alike by chance
        (("leak",) * 5, "leak, 5th time in a row, every 6 h"),
        (("leak",) * 5 + ("spike",), "leak, 5th time in a row, every 6 h"),
        (("limit_lowered", "leak", "leak"), "limit lowered, after leak 2 times in a row"),
        (("spike", "leak"), "spike, after leak"),
        (("leak", None, "leak"), "leak"),
        (("leak", "leak", None, "leak"), "leak, 2nd time in a row"),
    ],
)
def test_words(shapes: tuple[str | None, ...], expected: str) -> None:
    found = find_habit(kills(*shapes))
    assert found is not None
    assert found.words() == expected


def test_nothing_is_said_of_an_unknown_shape() -> None:
    assert find_habit([]) is None
    assert find_habit(kills(None, "leak", "leak")) is None
    assert find_habit([incident(before=Before(shape=None))]) is None


def test_at_least_where_more_may_belong_to_the_row() -> None:
    def words(*shapes: str) -> str:
        found = find_habit(kills(*shapes), is_least=True)
        assert found is not None
        return found.words()

    assert words("leak", "leak") == "leak, at least 2nd time in a row"
    assert words("leak", "leak", "spike") == "leak, 2nd time in a row"
    assert words("spike", "leak", "leak") == "spike, after leak at least 2 times in a row"
    assert words("leak") == "leak"


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ((0, -6, -12, -18), 6),
        ((0, -6.5, -12, -17.6), 5.6),
        ((0, -6, -12), None),
        ((0, -6, -18, -24), None),  # one was not seen
        ((0, -1, -7, -8, -14), None),
        ((0, *(-1 - 6 * n for n in range(8))), None),  # the latest came early
        ((*(-6 * n for n in range(9)), -100, -200), 6),  # another rhythm, long ago
        ((0, 0, 0, 0), None),
        (tuple(-n / 7200 for n in range(9)), None),  # half a second
        ((0, 6, 12, 18), None),  # a clock that was set back
    ],
)
def test_rhythm(hours: tuple[float, ...], expected: float | None) -> None:
    found = rhythm([TIME + hour * HOUR for hour in hours])
    assert found == (None if expected is None else pytest.approx(expected * HOUR))


def test_every_shape_has_words() -> None:
    assert [shape_words(shape) for shape in SHAPES] == [
        "limit lowered", "plateau", "leak", "sawtooth", "start-up", "spike", "ramp",
    ]  # fmt: skip
