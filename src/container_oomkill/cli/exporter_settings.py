# SPDX-License-Identifier: Apache-2.0
"""Settings of `container-oomkill exporter`: how to attach, what to serve, whom to ask and tell."""

from __future__ import annotations

from ..exporter.settings import ExporterSettings
from ..system.settings import Settings
from .attaching import AttachSettings
from .destinations import DestinationSettings
from .metadata_providers import ProviderSettings, StateSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


class ExporterCommandSettings(Settings):
    """As the options have them; ``exporter``: what it serves, and how."""

    attach: AttachSettings
    exporter: ExporterSettings
    state: StateSettings = StateSettings()
    providers: ProviderSettings = ProviderSettings()
    destinations: DestinationSettings = DestinationSettings()
    node: str | None = None
    keep_privileges: bool = False
    retry_attach: bool = False

    @classmethod
    def from_args(cls, args: Namespace) -> ExporterCommandSettings:
        """Raises `UsageError` for options that do not go together."""
        exporter = ExporterSettings.from_options(vars(args))
        return cls(
            attach=AttachSettings.from_args(args),
            exporter=exporter,
            state=StateSettings.from_args(args),
            providers=ProviderSettings.from_args(args),
            destinations=DestinationSettings.from_options(exporter),
            node=args.node,
            keep_privileges=args.keep_privileges,
            retry_attach=args.retry_attach,
        )
