# SPDX-License-Identifier: Apache-2.0
"""Ten thousand victims of one kill: what the record lists, what it adds up, how large it gets."""

from __future__ import annotations

import dataclasses
import io
import json

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.history.last_count import recorded_by_cgroup
from container_oomkill.incident.group import CGROUPS, LISTED, Group
from container_oomkill.incident.model import Candidate, Incident, Rss, UnlistedIn, Victim
from container_oomkill.probe.kernel_counts import kernel_count
from container_oomkill.sinks import json_lines
from container_oomkill.sinks.record import from_object, to_object
from container_oomkill.sinks.text import Text

from ..support import scraping
from ..support.incidents import BOOT_NS, MIB, TIME, incident, victim

VICTIMS = 10_000
LARGEST = 7_000  # of the further ones, this one's number


def member(number: int, **changes: object) -> Victim:
    """Each has a KiB of its own for each number, but one, which has more than any."""
    size = 64 * MIB if number == LARGEST else number * 1024
    mine = {"rss": Rss(size, 4096, 0), "swap_bytes": 1, "pagetables_bytes": 2}
    return victim(**({"pid": number, "cgroup_id": 1 + number % 2} | mine | changes))


def group(victims: int = VICTIMS, **changes: object) -> Incident:
    first = incident(victims=(member(0),))
    first = first.changed(oom=dataclasses.replace(first.oom, group=True), **changes)
    made = Group(first)
    for number in range(1, victims):
        made.add(member(number))
    return made.whole()


def test_a_group_that_fits_is_listed_whole() -> None:
    whole = group(LISTED)
    assert [each.pid for each in whole.victims] == list(range(LISTED))
    assert (whole.unlisted, whole.kills) == (None, LISTED)


def test_the_chosen_one_and_the_largest_others_are_listed_in_the_kernels_order() -> None:
    whole = group()
    largest = range(VICTIMS - LISTED + 2, VICTIMS)
    assert [each.pid for each in whole.victims] == [0, LARGEST, *largest]


def test_the_others_are_added_up() -> None:
    whole = group()
    rest = whole.unlisted
    assert rest is not None
    assert rest.victims == VICTIMS - LISTED
    numbers = set(range(VICTIMS)) - {each.pid for each in whole.victims}
    assert rest.rss == Rss(sum(numbers) * 1024, len(numbers) * 4096, 0)
    assert (rest.swap_bytes, rest.pagetables_bytes) == (len(numbers), 2 * len(numbers))
    odd = sum(number % 2 for number in numbers)
    assert set(rest.cgroups) == {UnlistedIn(2, odd), UnlistedIn(1, len(numbers) - odd)}
    assert whole.kills == VICTIMS


def test_a_sum_of_which_a_part_is_unknown_is_unknown() -> None:
    made = Group(incident(victims=(member(0),)))
    for number in range(1, LISTED + 2):
        made.add(member(number, swap_bytes=None, rss=Rss(None, 1, 1)))
    rest = made.whole().unlisted
    assert rest is not None
    assert (rest.swap_bytes, rest.rss) == (None, Rss(None, 2, 2))


def test_cgroups_beyond_a_bound_are_one() -> None:
    made = Group(incident(victims=(member(0),)))
    unlisted = 3 * CGROUPS
    for number in range(1, LISTED + unlisted):
        made.add(member(number, cgroup_id=number, rss=Rss(1, 1, 1)))
    rest = made.whole().unlisted
    assert rest is not None
    assert rest.victims == sum(each.victims for each in rest.cgroups) == unlisted
    assert len(rest.cgroups) == CGROUPS + 1
    assert rest.cgroups[0] == UnlistedIn(None, unlisted - CGROUPS)


def test_whoever_is_killed_was_not_spared() -> None:
    """Whether it is listed or not."""
    spared = (Candidate(pid=3), Candidate(pid=VICTIMS - 1), Candidate(pid=VICTIMS + 1))
    assert group(candidates=spared).candidates == spared[-1:]


def test_the_record_is_bounded_and_comes_back_the_same() -> None:
    whole = group()
    line = json_lines.render(whole)
    assert len(line) < 1 << 20
    assert from_object(json.loads(line)) == whole
    assert len(line) < 2 * len(json_lines.render(group(LISTED)))


def test_all_are_counted() -> None:
    whole = explain(group())
    assert f"memory.oom.group killed {VICTIMS} processes together" in (whole.verdict or "")
    assert kernel_count(whole) == VICTIMS + 1
    text = io.StringIO()
    Text(text)(whole)
    assert f"and {VICTIMS - 10} more" in text.getvalue()
    metrics = scraping.make()
    metrics(whole)
    assert scraping.value(metrics, "container_oomkill_total", scope="container") == VICTIMS
    assert scraping.value(metrics, "container_oomkill_kills_total", scope="container") == VICTIMS
    kept = recorded_by_cgroup([whole], now=TIME, now_boot_ns=BOOT_NS)
    assert sum(kept.values()) == VICTIMS + 1


def test_a_record_of_before_has_none_unlisted() -> None:
    record = to_object(group(3))
    del record["unlisted"]
    assert from_object(record).unlisted is None
