# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill exporter`: attaches, then serves what is recorded."""

from __future__ import annotations

import sys
import time

from ..errors import Error
from ..exporter.settings import ExporterSettings
from ..system.settings import Settings
from .attaching import AttachSettings, attached
from .metadata_providers import ProviderSettings, StateSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..probe.probe import Probe
    from ..system.shutdown import ShutdownRequest


class ExporterCommandSettings(Settings):
    """As the options have them; ``exporter``: what it serves, and how."""

    attach: AttachSettings
    exporter: ExporterSettings
    state: StateSettings = StateSettings()
    providers: ProviderSettings = ProviderSettings()
    node: str | None = None
    keep_privileges: bool = False
    retry_attach: bool = False

    @classmethod
    def from_args(cls, args: Namespace) -> ExporterCommandSettings:
        """Raises `UsageError` for options that do not go together."""
        return cls(
            attach=AttachSettings.from_args(args),
            exporter=ExporterSettings.from_options(vars(args)),
            state=StateSettings.from_args(args),
            providers=ProviderSettings.from_args(args),
            node=args.node,
            keep_privileges=args.keep_privileges,
            retry_attach=args.retry_attach,
        )


def command(args: Namespace) -> int:
    """Attach, serve what is recorded until interrupted."""
    from ..system.shutdown import ShutdownRequest

    settings = ExporterCommandSettings.from_args(args)
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
