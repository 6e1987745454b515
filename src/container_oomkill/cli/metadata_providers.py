# SPDX-License-Identifier: Apache-2.0
"""Takes the options, gives what they have asked and told in the background: a socket, a cluster.

Nothing of it is imported, and no thread is started, unless an option says so.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ..identity.resolver import MetadataProvider
    from ..identity.store import Store
    from ..incident.model import Incident


class Background:
    """A context manager. ``asked`` knows names, with their ``stores``; ``sinks`` take incidents."""

    def __init__(self, args: Namespace, on_lost: Callable[[int], None]) -> None:
        """``on_lost``: so many incidents had no Event. Raises `UsageError`."""
        from contextlib import ExitStack

        self.asked: list[MetadataProvider] = []
        self.stores: list[Store] = []
        self.sinks: list[Callable[[Incident], None]] = []
        self.queues: dict[str, tuple[Callable[[], int], int]] = {}  # what waits, of how many
        self.watch_up: Callable[[], bool | None] = lambda: None
        self._closing = ExitStack()
        if args.state_docker_socket:
            from ..identity.runtimes.engine_socket import EngineSocket

            engine = self._closing.enter_context(EngineSocket(args.state_docker_socket))
            self.asked.append(engine)
            self.stores.append(engine.store)
        if args.kubernetes or args.kubernetes_events:
            self._cluster(args, on_lost)

    def _cluster(self, args: Namespace, on_lost: Callable[[int], None]) -> None:
        from ..kubernetes.settings import node_of, open_api

        node = node_of(args) if args.kubernetes else None
        api = open_api(args)
        self._closing.callback(api.close)
        if node is not None:
            from ..kubernetes.watch import PodWatch

            watch = self._closing.enter_context(PodWatch(api, node))
            self.asked.append(watch)
            self.stores.append(watch.store)
            self.watch_up = watch.is_up
        if args.kubernetes_events:
            from ..incident.host import read_boot_id, read_host
            from ..kubernetes.events import Events

            name = args.kubernetes_node or read_host(args.node).node
            events = Events(api, name, read_boot_id(), on_lost)
            self.sinks.append(self._closing.enter_context(events))
            self.queues["kubernetes_event"] = events.depth, events.size

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()
