# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill exporter`: attaches, then serves what is recorded."""

from __future__ import annotations

import sys
import time

from ..errors import Error
from .attaching import attached
from .exporter_settings import ExporterCommandSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..probe.probe import Probe
    from ..system.shutdown import ShutdownRequest


def command(args: Namespace) -> int:
    """Attach, serve what is recorded until interrupted."""
    settings = ExporterCommandSettings.from_args(args)
    settings.state.check()
    settings.providers.check()
    started = time.time()
    probe, stop = _attached_in_time(settings)
    with probe:
        from .exporter_parts import ExporterParts

        with ExporterParts(settings, probe, sys.stdout, started=started) as parts:
            parts.run(stop)
    return 0


def _attached_in_time(settings: ExporterCommandSettings) -> tuple[Probe, ShutdownRequest]:
    """Until it is attached, signals do what they do to any process, unless it is to try again."""
    try:
        return attached(settings.attach), _stop_on_signals()
    except Error as error:
        if not settings.retry_attach:
            raise
        from ..exporter.retry_attach import attach_in_time

        def again() -> Probe:
            return attached(settings.attach)

        stop = _stop_on_signals()
        return attach_in_time(again, error, settings.exporter, stop, node=settings.node), stop


def _stop_on_signals() -> ShutdownRequest:
    from ..system.shutdown import ShutdownRequest

    stop = ShutdownRequest()
    stop.on_signals()
    return stop
