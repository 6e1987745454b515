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
    from ..system.shutdown import ShutdownRequest

    settings = ExporterCommandSettings.from_args(args)
    settings.state.check()
    settings.providers.check()
    stop = ShutdownRequest()
    started = time.time()
    with _attached_in_time(settings, stop) as probe:
        from .exporter_parts import ExporterParts

        stop.on_signals()
        with ExporterParts(settings, probe, sys.stdout, started=started) as parts:
            parts.run(stop)
    return 0


def _attached_in_time(settings: ExporterCommandSettings, stop: ShutdownRequest) -> Probe:
    try:
        return attached(settings.attach)
    except Error as error:
        if not settings.retry_attach:
            raise
        from ..exporter.retry_attach import attach_in_time

        return attach_in_time(
            lambda: attached(settings.attach), error, settings.exporter, stop, node=settings.node
        )
