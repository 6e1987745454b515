# SPDX-License-Identifier: Apache-2.0
"""Chromium as the system has it, and pages in it that may not complain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

if TYPE_CHECKING:
    from container_oomkill.exporter.exporter import Exporter

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = 1280, 390  # CSS pixels
HEIGHT = 900
PATIENCE_MS = 120_000  # a busy machine takes its time for a picture of a whole page

Scheme = Literal["light", "dark"]


@contextmanager
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise RuntimeError("no Chromium here: tools/system-packages.sh browser installs it")
    with sync_playwright() as playwright:
        # Root, as whoever provokes kills is, gets no sandbox; what it opens is our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser,
    url: str,
    *,
    scheme: Scheme = "light",
    width: int = DESKTOP,
    scripts: bool = True,
) -> Iterator[Page]:
    """A page; whatever it, its script or the Content-Security-Policy complains of fails."""
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": HEIGHT},
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(url)
    yield page
    context.close()
    assert complaints == []


def address(exporter: Exporter) -> str:
    return f"http://{exporter.addresses[0]}"


def check(page: Page) -> None:
    """No accessibility violation; nothing wider than the window."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
