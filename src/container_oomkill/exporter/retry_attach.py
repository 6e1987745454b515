# SPDX-License-Identifier: Apache-2.0
"""Retries attaching with back-off, while serving /healthz and /readyz.

A pod that exits at once is restarted again and again, and its log is lost with it. This one stays
up: /healthz answers 200, /readyz 503 with the reason, and /metrics has no probe_info, which fires
the alert OomKillProbeDetached.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import Error
from ..sinks import json_lines
from ..system import log, privileges
from .exporter import Exporter

if TYPE_CHECKING:
    from ..probe.probe import Probe
    from ..system.shutdown import ShutdownRequest
    from .settings import ExporterSettings

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 300.0


class NotAttached:
    """What the metrics ask of a probe, where there is none yet."""

    hook = "none"
    attached = False

    def __init__(self) -> None:
        self.kernel = os.uname().release

    def counters(self) -> Mapping[str, int]:
        return {}

    def features(self) -> Mapping[str, bool]:
        return {}

    def recorder_status(self) -> None:
        return None

    def killers_status(self) -> None:
        return None

    def ring_use(self) -> tuple[int, int]:
        return 0, 0


def attach_in_time(
    attach: Callable[[], Probe],
    refused: Error,
    settings: ExporterSettings,
    stop: ShutdownRequest,
    *,
    node: str | None = None,
    first_seconds: float = FIRST_SECONDS,
) -> Probe:
    """Try again, ever less often, until it is attached; raise the last refusal when asked to stop.

    Its line is then the last one of the log, which a kubelet takes for the termination message.
    """
    stop.on_signals()
    seconds = first_seconds
    status = NotAttached()
    render = json_lines.render
    with Exporter(settings, status, version=__version__, render=render, node=node) as serving:
        serving.start(in_thread=privileges.drop_thread)
        while True:
            serving.refused = str(refused)
            log.warn(f"{refused}; retrying in {seconds:.0f} s")
            if _asked_to_stop(stop, seconds, serving):
                raise refused
            try:
                return attach()
            except Error as error:
                refused = error
            seconds = min(2 * seconds, LONGEST_SECONDS)


def _asked_to_stop(stop: ShutdownRequest, seconds: float, serving: Exporter) -> bool:
    """Wait that long, with a look at the web server now and then."""
    until = time.monotonic() + seconds
    poll = select.poll()
    poll.register(stop.event, select.POLLIN)
    while (left := until - time.monotonic()) > 0:
        if poll.poll(min(left, serving.heartbeat_seconds) * 1000):
            return True
        serving.heartbeat()
    return False
