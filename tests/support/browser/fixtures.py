# SPDX-License-Identifier: Apache-2.0
"""A Chromium for all tests, and screenshots to look at. Only these tests need Playwright."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from .browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def keep_screenshot() -> Callable[[Page, str], None]:
    """Keep a screenshot, to be looked at."""

    def save(page: Page, name: str) -> None:
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return save
