# SPDX-License-Identifier: Apache-2.0
"""Which exporter `show`, `why` and `mcp` ask, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..system.settings import Settings

if TYPE_CHECKING:
    from argparse import Namespace

    from ..incident.model import Incident
    from ..killers.model import Kill
    from ..sinks.query import Query
    from ..stuck.model import Stuck


class AskedExporter(Settings):
    """As the options have it."""

    url: str | None = None  # None: the exporter that runs here
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def from_args(cls, args: Namespace) -> AskedExporter:
        return cls(
            url=args.url,
            user=args.user,
            password_file=args.password_file,
            ca_file=args.ca_file,
            cert_file=args.cert_file,
            key_file=args.key_file,
        )

    def records(self, query: Query) -> tuple[list[Incident], list[Kill | Stuck]]:
        """Return what matches, of every kind, newest first; errors as `Exporter.incidents`."""
        from .exporter_client import Exporter
        from .running_exporter import find_exporter

        exporter = Exporter(
            self.url or find_exporter(),
            user=self.user,
            password_file=self.password_file,
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
        )
        return exporter.incidents(query), [*exporter.kills(query), *exporter.stuck(query)]
