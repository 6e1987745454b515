# SPDX-License-Identifier: Apache-2.0
"""Where in its own program a container asked for memory: its most frequent stacks on the page."""

from __future__ import annotations

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.incident.model import Incident, Trigger
from container_oomkill.incident.stack import Frame, Stack

from ...support.http_client import ask, get
from ...support.incidents import HOSTILE, container, now

BUILD_ID = "0123456789abcdef" + "0" * 24
OFTEN = (Frame(BUILD_ID, 0x1234), Frame(None, None), Frame(BUILD_ID, 0x5678))
ONCE = tuple(Frame("ff" * 20, 16 * n) for n in range(12))


def killed(number: int, *frames: Frame, command: str = "python3", name: str = "app") -> Incident:
    trigger = Trigger(command=command, by="page_fault", stack=Stack(user=frames or None))
    return now(number, trigger=trigger, container=container(name))


def shown(exporter: Exporter, incident: Incident) -> str:
    answer = ask(exporter.addresses[0], get(f"/incidents/{incident.id}"))
    assert answer.status == 200
    return answer.body.decode()


def test_the_most_frequent_first(exporter: Exporter) -> None:
    for number in range(1, 4):
        exporter.sink(killed(number, *OFTEN))
    last = killed(4, *ONCE)
    exporter.sink(last)
    exporter.sink(killed(5))  # none was taken
    exporter.sink(killed(6, Frame(BUILD_ID, 0x9999), name="other"))
    page = shown(exporter, last)
    often, once = page.index("3 of 4 kills"), page.index("1 of 4 kills")
    assert often < page.index("0123456789ab + 0x1234") < page.index("0x5678") < once
    assert ", this one among them: " in page[once:]
    assert ", this one among them: " not in page[:once]
    assert "page fault" in page[often:once]
    assert '<span class="unknown">' in page[often:once]  # a frame in no file
    assert "ffffffffffff + 0x70" in page
    assert "0x80" not in page
    assert "And 4 outer frames: the record has them." in page
    assert "whoever asks last need not be who holds most" in page
    assert "container-oomkill symbolize FILE" in page
    assert "0x9999" not in page


def test_no_more_than_three(exporter: Exporter) -> None:
    for number in range(1, 6):
        exporter.sink(killed(number, Frame(BUILD_ID, number)))
    page = shown(exporter, killed(1, Frame(BUILD_ID, 1)))
    assert page.count("1 of 5 kills") == 3


def test_without_stacks_there_is_nothing(exporter: Exporter) -> None:
    made = killed(1)
    exporter.sink(made)
    assert "Where in its program" not in shown(exporter, made)


def test_names_do_no_harm(exporter: Exporter) -> None:
    made = killed(1, Frame(BUILD_ID, 1), command=HOSTILE)
    exporter.sink(made)
    page = shown(exporter, made)
    assert "1 of 1 kill" in page
    assert "<script>alert" not in page
    assert "\x1b" not in page
