# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/images from a recording of real kills.

    python -m tests.support.browser.screenshots RECORDING

The page is as it was a few minutes after the last kill.
"""

from __future__ import annotations

import sys
from pathlib import Path

from container_oomkill.cli.recording import read_recording
from container_oomkill.diagnosis import verdict
from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.sinks import json_lines

from ..incidents import FakeProbe
from .browser import PHONE, Scheme, address, chromium, opened

IMAGES = Path(__file__).parents[3] / "docs" / "images"
AFTER_SECONDS = 240.0
BEFORE_SECONDS = 60.0
SHOWN = "redis"  # whose incident
WIDTH, PICTURE_HEIGHT = 1080, 700  # what a document shows well
CANDIDATE_SCAN: dict[str, tuple[Scheme, int]] = {
    "light": ("light", WIDTH),
    "dark": ("dark", WIDTH),
    "phone": ("light", PHONE),
}


def main(recording: str) -> None:
    incidents = [verdict.explain(incident) for incident in read_recording(recording)]
    now = incidents[-1].time + AFTER_SECONDS
    times = iter([incidents[0].time - BEFORE_SECONDS])  # when it began to watch
    probe = FakeProbe(hook=incidents[-1].hook, kernel=incidents[-1].kernel)
    with (
        Exporter(
            ExporterSettings(listen_addresses=("127.0.0.1:0",)),
            probe,
            version="1.0",
            render=json_lines.render,
            node=incidents[-1].node,
            kernel_kills=lambda: sum(len(incident.victims) for incident in incidents),
            kernel_kills_before=0,
            wall=lambda: next(times, now),
        ) as exporter,
        chromium() as browser,
    ):
        exporter.start()
        exporter.ready(True)
        for incident in incidents:
            exporter.sink(incident)
        IMAGES.mkdir(exist_ok=True)
        for look, (scheme, width) in CANDIDATE_SCAN.items():
            with opened(browser, address(exporter), scheme=scheme, width=width) as page:
                page.set_viewport_size({"width": width, "height": PICTURE_HEIGHT})
                page.wait_for_selector("#live[data-state=well]")
                page.screenshot(path=IMAGES / f"overview-{look}.png")
                page.get_by_role("link", name=SHOWN, exact=True).click()
                page.wait_for_selector("#live[data-state=well]")
                page.screenshot(path=IMAGES / f"incident-{look}.png")


if __name__ == "__main__":
    main(sys.argv[1])
