# SPDX-License-Identifier: Apache-2.0
"""What every command of `kubectl oomkill` has: its settings, the cluster's exporters, records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ...errors import UnsupportedError, UsageError
from ...fleet.exporters import SELECTOR, Exporter, find_exporters
from ...fleet.gather import Gathered, gather
from ...kubernetes.api import Api
from ...sinks.query import Query
from ...system.settings import Settings
from ..filters import query_from
from .parser import LIMIT_MAX

if TYPE_CHECKING:
    from argparse import Namespace
    from typing import TextIO

    from ...fleet.answers import Found


class KubectlSettings(Settings):
    """As the options have them."""

    action: str | None = None  # None: list
    what: str | None = None  # an id, or a pod
    output: str = "text"
    colour: str = "auto"
    limit: int | None = None  # None: the newest few of each container
    query: Query = Query()
    interval: float = 5.0  # seconds
    count: int | None = None  # None: until interrupted
    context: str | None = None
    kubeconfig: str | None = None
    seconds: float = 5.0  # for one node
    exporter_namespace: str | None = None
    selector: str = SELECTOR

    @classmethod
    def from_args(cls, args: Namespace) -> KubectlSettings:
        """Raises `UsageError` for a filter that is none."""
        query = query_from(args)
        if query.after_sequence is not None:
            raise UsageError(f"--since {query.since}: expected a time: each node counts for itself")
        return cls(
            action=args.action,
            what=args.what,
            output=args.output,
            colour=args.color,
            limit=None if args.limit is None else min(args.limit, LIMIT_MAX),
            query=query,
            interval=5.0 if args.interval is None else args.interval,
            count=args.count,
            context=args.context,
            kubeconfig=args.kubeconfig,
            seconds=args.request_timeout,
            exporter_namespace=args.exporter_namespace,
            selector=args.selector,
        )


class Fleet:
    """The cluster's exporters, as the settings say."""

    def __init__(self, settings: KubectlSettings, api: Api) -> None:
        self._settings = settings
        self._api = api

    def exporters(self) -> list[Exporter]:
        """Return those there are now; errors as `find_exporters`."""
        settings = self._settings
        return find_exporters(
            self._api, namespace=settings.exporter_namespace, selector=settings.selector
        )

    def gather(
        self, query: Query, most: int = LIMIT_MAX, exporters: list[Exporter] | None = None
    ) -> Gathered:
        """Ask all of them, or those given. Raises `UnsupportedError` where none may be asked."""
        gathered = gather(
            self._api,
            self.exporters() if exporters is None else exporters,
            query,
            most=most,
            seconds=self._settings.seconds,
            wanted=self._wanted,
        )
        if gathered.denied():
            raise UnsupportedError(f"{next(gathered.notes())}: see docs/kubectl.md")
        return gathered

    def _wanted(self, found: Found) -> bool:
        """-n is one namespace; the filter takes a part of a name."""
        return found.namespace == (self._settings.query.namespace or found.namespace)


def write_as_it_came(found: Found, stdout: TextIO) -> None:
    """Write its record on one line, with keys that this version may not know."""
    stdout.write(json.dumps(json.loads(found.data), separators=(",", ":")) + "\n")
    stdout.flush()
