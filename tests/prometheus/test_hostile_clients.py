# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus beside clients that hammer, trickle and hold streams: it gets every scrape."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from ..support.exporter_process import running
from ..support.hostile_clients import clients
from ..support.prometheus import needs_prometheus
from ..support.prometheus import running as prometheus_running
from ..support.waiting import eventually

# As much as one that waits is given: what is refused is `up` 0, what is slow on a busy machine not.
CONFIG = """\
global: {{ scrape_interval: 5s, scrape_timeout: 5s }}
scrape_configs: [{{ job_name: hostile, static_configs: [{{ targets: ["{target}"] }}] }}]
"""
SCRAPES = 4


@needs_prometheus
def test_it_gets_every_scrape(tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    end = threading.Event()

    def repeat(client: Callable[[], None]) -> None:
        while not end.is_set():
            with contextlib.suppress(OSError):
                client()

    with running() as exporter:
        exporter.tell("kills 200")
        config.write_text(CONFIG.format(target=exporter.address))
        hostile = clients(exporter.address, lambda: not end.is_set())
        threads = [threading.Thread(target=repeat, args=(each,), daemon=True) for each in hostile]
        for thread in threads:
            thread.start()
        try:
            with prometheus_running(tmp_path, config) as (server, _):
                count = 'count_over_time(up{job="hostile"}[1h])'
                eventually(lambda: (server.value(count) or 0) >= SCRAPES)
                assert server.value('min_over_time(up{job="hostile"}[1h])') == 1
        finally:
            end.set()
