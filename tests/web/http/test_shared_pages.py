# SPDX-License-Identifier: Apache-2.0
"""A page that is asked for all the time takes half of a CPU, whoever asks and however many."""

from __future__ import annotations

from typing import cast

from container_oomkill.web.http.connection import Connection
from container_oomkill.web.http.pages import Pages
from container_oomkill.web.http.response import Shared

CLIENT = cast("Connection", object())
CLIENTS = 16


class Clock:
    """Stands still but while a page is made."""

    def __init__(self) -> None:
        self.now = 100.0
        self.made = 0

    def __call__(self) -> float:
        return self.now

    def make(self) -> bytes:
        self.now += 2
        self.made += 1
        return b"page"


def served(pages: Pages) -> int:
    return len(list(pages.made(lambda _: None)))


def test_it_rests_for_as_long_as_making_it_took() -> None:
    clock = Clock()
    pages = Pages(clock=clock)
    wanted = Shared("metrics", clock.make, [], packed=True)

    def ask() -> None:
        for _ in range(CLIENTS):
            pages.ask(CLIENT, wanted)

    assert pages.due() is None
    ask()
    assert served(pages) == CLIENTS
    ask()
    assert served(pages) == 0
    assert pages.due() == clock.now + 2
    clock.now += 2
    assert served(pages) == CLIENTS
    assert clock.made == 2
    # Another page, of another format, does not wait for it.
    pages.ask(CLIENT, Shared("openmetrics", clock.make, [], packed=True))
    assert served(pages) == 1
