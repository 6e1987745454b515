# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from container_oomkill.exporter.exporter import Exporter

from ..support.browser.browser import chromium
from ..support.http_client import make_exporter

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    with make_exporter() as running:
        running.start()
        running.ready(True)
        yield running


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Keep a screenshot, to be looked at."""

    def save(page: Page, name: str) -> None:
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return save
