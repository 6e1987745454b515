# SPDX-License-Identifier: Apache-2.0
"""What is no incident, as a person sees it: what is stuck and who else killed, on an open page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.killers.cause import explain as explain_kill
from container_oomkill.stuck.cause import explain
from container_oomkill.stuck.model import THROTTLED, Stuck

from ..support.browser.browser import DESKTOP, PHONE, address, check, opened
from ..support.incidents import HOSTILE, MIB, container, now
from ..support.kills import kill
from ..support.stuck import stuck

Keep = Callable[[Page, str], None]


def episode(number: int, name: str = "cart", *, ended: bool = True, **changes: object) -> Stuck:
    at = time.time() - 300
    made = stuck(time=at, boot_ns=number, container=container(name), **changes)  # type: ignore[arg-type]
    return explain(replace(made, stuck=replace(made.stuck, ended=ended, seconds=200.0)))


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_they_are_seen_and_fit(
    browser: Browser, exporter: Exporter, keep_screenshot: Keep, width: int
) -> None:
    exporter.sink(now(1))
    exporter.kill_sink(replace(explain_kill(kill()), time=time.time()))
    exporter.stuck_goes_on(episode(1, ended=False))
    exporter.stuck_sink(episode(2, "db", cause=THROTTLED, high_bytes=512 * MIB, limit_bytes=None))
    exporter.stuck_sink(episode(3, HOSTILE))
    with opened(browser, address(exporter), width=width) as page:
        for path in ("/", "/stuck", "/kills", "/why?container=cart"):
            page.goto(address(exporter) + path)
            check(page)
            keep_screenshot(page, f"others{path.partition('?')[0].replace('/', '-')}-{width}")
        page.goto(f"{address(exporter)}/stuck")
        amount = page.locator(".amount", has_text="512.0 MiB").bounding_box()
        assert amount is not None
        assert amount["height"] < 40  # in one line


def test_an_open_page_shows_the_first_one(browser: Browser, exporter: Exporter) -> None:
    """There was no section for it when the page was opened."""
    with opened(browser, address(exporter)) as page:
        expect(page.get_by_role("heading", name="Out of memory without a kill")).to_have_count(0)
        exporter.stuck_goes_on(episode(1, ended=False))
        exporter.sink(now(1))  # what tells the page to look; else it does each 30 s
        heading = page.get_by_role("heading", name="Out of memory without a kill: 1 time")
        expect(heading).to_be_visible()
