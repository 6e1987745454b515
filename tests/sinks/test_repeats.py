# SPDX-License-Identifier: Apache-2.0
"""Which kill of its container it is, within a day."""

from __future__ import annotations

import pytest

from container_oomkill.incident.before import Before
from container_oomkill.incident.model import Incident
from container_oomkill.sinks import repeats
from container_oomkill.sinks.names import container_key
from container_oomkill.sinks.repeats import Repeats, habit_of, repeat_words, times_in_a_day
from container_oomkill.units import DAY_SECONDS

from ..support.incidents import TIME, container, incident, victim


def test_of_one_container_within_a_day() -> None:
    mine = [incident(number, time=TIME + number * 3600.0) for number in range(1, 31)]
    others = [
        incident(40, container=container("other"), time=TIME + 7200),
        incident(41, node="node-2", time=TIME + 7200),
    ]
    known = [*others, *mine, mine[0]]  # one comes twice, as from a pinned ring
    assert [times_in_a_day(each, known) for each in mine] == [*range(1, 24), *[24] * 7]
    counted = Repeats()
    assert [counted(each) for each in mine] == [*range(1, 24), *[24] * 7]
    assert [counted(each) for each in others] == [1, 1]
    assert DAY_SECONDS == 86400


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "CONTAINERS_MAX", 2)
    counted = Repeats()
    for name, times in (("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 1)):
        assert counted(incident(container=container(name))) == times


@pytest.mark.parametrize(
    ("times", "words"),
    [(1, ""), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (21, "21st"), (112, "112th")],
)
def test_words(times: int, words: str) -> None:
    assert repeat_words(times) == (f"{words} time in 24 h" if words else "")


def test_a_users_container_is_no_other_users() -> None:
    """The pages' rows and the history's fairness have the same key, so all of them count alike."""
    first, second = (
        incident(
            number,
            container=container("web"),
            victims=(victim(cgroup=f"/user.slice/user-{uid}.slice/user@{uid}.service/web.scope"),),
        )
        for number, uid in ((1, 1000), (2, 1001))
    )
    assert times_in_a_day(second, [first, second]) == 1
    assert repeats.key_of(first) == (first.node, *container_key(first))


def test_a_habit_is_one_containers_up_to_the_incident() -> None:
    mine = [
        incident(number, time=TIME + number * 3600.0, before=Before(shape="leak"))
        for number in range(1, 7)
    ]
    other = incident(9, time=TIME + 2 * 3600.5, node="node-2", before=Before(shape="spike"))
    known = [mine[5], mine[0], other, *mine]  # one comes twice, as from a pinned ring

    def words(wanted: Incident) -> str:
        found = habit_of(wanted, known)
        assert found is not None
        return found.words()

    assert words(mine[4]) == "leak, 5th time in a row, every 60 min"
    assert words(mine[0]) == "leak"
    assert words(other) == "spike"
