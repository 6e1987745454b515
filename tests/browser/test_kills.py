# SPDX-License-Identifier: Apache-2.0
"""A real kill, from the kernel to the eye."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from ..support.browser.browser import opened
from ..support.kernel.cgroups import cgroups
from ..support.kernel.demo import HOG
from ..support.kernel.processes import COMMAND

PATIENCE_MS = 20_000


def test_real_kills_appear_without_reload(
    browser: Browser, keep_screenshot: Callable[[Page, str], None]
) -> None:
    command = [sys.executable, str(COMMAND), "exporter", "--web.listen-address", "127.0.0.1:0"]
    with (
        cgroups("/oomkill-page") as (cgroup,),
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as exporter,
    ):
        try:
            assert exporter.stderr is not None
            words = exporter.stderr.readline()
            assert words.startswith("container-oomkill: attached with "), words
            cgroup.limit(32)
            with opened(browser, f"http://{words.split()[-1]}/?container=oomkill-page") as page:
                expect(page.locator("#live")).to_have_text("live")
                kill(page, cgroup.enter, 1)
                kill(page, cgroup.enter, 2)
                keep_screenshot(page, "real-overview")
                page.locator(".incidents a").first.click()
                expect(page.locator("h1")).to_contain_text("32 MiB")
                expect(page.locator(".kicker")).to_contain_text("2nd time in 24 h")
                keep_screenshot(page, "real-incident")
        finally:
            exporter.terminate()


def kill(page: Page, enter: Callable[[], None], times: int) -> None:
    """Have the kernel kill a bounded hog, and see it on the page that is open."""
    hog = [sys.executable, "-I", "-S", "-c", HOG]
    assert subprocess.run(hog, preexec_fn=enter, check=False).returncode == -9
    listed = page.locator(".incidents a[href^='/incidents/']")
    expect(listed).to_have_count(times, timeout=PATIENCE_MS)
    expect(page.locator("#headline")).to_contain_text(f"{times} matching OOM kill")
