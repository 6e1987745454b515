# SPDX-License-Identifier: Apache-2.0
"""Builds the exporter's parts, in order, around an attached probe.

Imported after attaching, so it may import whatever it needs.
"""

from __future__ import annotations

from contextlib import ExitStack
from time import CLOCK_BOOTTIME, clock_gettime_ns
from typing import TYPE_CHECKING, TextIO

from .. import __version__
from ..exporter.exporter import Exporter
from ..identity.resolver import Resolver
from ..probe.kernel_counts import counts_by_cgroup
from ..sinks import json_lines
from ..system import log, privileges
from ..system.closeable import Closeable
from ..system.worker import Worker
from .destinations import Destinations
from .exporter_queues import Queues
from .metadata_providers import MetadataProviders

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..identity.discovery import ContainerDiscovery
    from ..pipeline.pipeline import Pipeline
    from ..probe.probe import Probe
    from ..system.shutdown import ShutdownRequest
    from .exporter_settings import ExporterCommandSettings


class ExporterParts(Closeable):
    """Closing ends the web server first, then each part before what it was made of."""

    def __init__(
        self,
        settings: ExporterCommandSettings,
        probe: Probe,
        stdout: TextIO,
        *,
        started: float,
        cgroups: str = "/sys/fs/cgroup",
    ) -> None:
        """``started``: when this process was, seconds since the epoch. Raises `UsageError`."""
        self._settings = settings
        self._probe = probe
        self._stdout = stdout
        self._at_terminal = stdout.isatty()  # somebody has just started it by hand
        self._queues = Queues()
        self._closing = ExitStack()
        try:
            self._make(started, cgroups)
        except BaseException:
            self.close()
            raise

    def _make(self, started: float, cgroups: str) -> None:
        # 1. The kernel's counts from before: the raw tracepoint gets them through bpf(), which is
        #    denied from step 3 on, and no kill that comes later may be among them.
        #    One may come, and be recorded, before they are shown: so with the moment of each.
        earlier = [(each, clock_gettime_ns(CLOCK_BOOTTIME)) for each in counts_by_cgroup(cgroups)]
        self._probe.enter_earlier_counts(each for each, _ in earlier)
        self._functions = self._closing.enter_context(self._probe.kernel_functions())
        # 2. Metrics and pages, nothing served yet.
        self.exporter = self._make_exporter(started)
        # 3. Bind, while we may; drop privileges, while there is no other thread; start to serve.
        self._serve()
        Worker("functions").start(self._functions.read)
        # 4. Names: a thread for the runtimes' state, others for the other providers.
        names = self._closing.enter_context(self._settings.state.discover())
        providers = self._closing.enter_context(self._ask_providers())
        self._show(names, providers)
        # 5. Kills from before, by name: so behind 4.
        self._resolver = Resolver(names, providers.asked)
        kills = ((*each[:3], at_ns) for each, at_ns in earlier if each[2])
        self.exporter.earlier(kills, self._resolver)
        # 6. What takes incidents besides.
        self._others = self._closing.enter_context(self._open_destinations())
        self.exporter.metrics.destinations = self._others.sent
        self._sinks = providers.sinks
        self._pod_ends = providers.pod_ends

    def run(self, stop: ShutdownRequest) -> None:
        """Say that it serves, then deliver until stopped; ready while it does."""
        exporter = self.exporter
        exporter.ready(True)  # who reads the lines below may ask for it at once
        for address in exporter.addresses:
            log.info(f"attached with {self._probe.hook}, listening on {address}")
        if self._at_terminal and (url := exporter.url()) is not None:
            path = self._settings.exporter.telemetry_path
            log.info(f"open {url}/ to see what is killed; Prometheus scrapes {url}{path}")
        pipeline = self._open_pipeline()
        # Last, so that it is the first to be closed: what it serves is going.
        self._closing.callback(exporter.close)
        pipeline.run(
            stop, heartbeat=exporter.heartbeat, heartbeat_seconds=exporter.heartbeat_seconds
        )
        exporter.ready(False)

    def _open_pipeline(self) -> Pipeline:
        """Import what records need, which come meanwhile and wait in the ring."""
        from .exporter_pipeline import ExporterPipeline

        made = ExporterPipeline(
            self._settings,
            self._probe,
            self.exporter,
            stdout=self._stdout,
            queues=self._queues,
            sinks=self._sinks,
            others=self._others,
            resolver=self._resolver,
            symbols=self._functions.symbols,
            pod_ends=self._pod_ends,
        )
        return self._closing.enter_context(made).pipeline

    def close(self) -> None:
        self._closing.close()

    def _make_exporter(self, started: float) -> Exporter:
        probe, settings = self._probe, self._settings
        exporter = Exporter(
            settings.exporter,
            probe,
            version=__version__,
            render=json_lines.render,
            node=settings.node,
            kernel_kills_before=probe.kills_before,
            # What an earlier process got from pinned hooks is not on this one's pages.
            watched_since=max(started, probe.attached_at()),
            recorded_meanwhile=probe.resumed,
        )
        return self._closing.enter_context(exporter)

    def _serve(self) -> None:
        settings = self._settings
        keep = settings.keep_privileges

        def before_any_thread() -> None:
            if not keep:
                clients = settings.providers.ask_others or settings.destinations.any
                privileges.drop_process(clients=clients)
            self._open_history()  # without privileges: its folder is our user's

        self.exporter.start(bound=before_any_thread, in_thread=self._in_thread())

    def _in_thread(self) -> Callable[[], None]:
        """Return what a thread that talks to the network does first."""
        return (lambda: None) if self._settings.keep_privileges else privileges.drop_thread

    def _open_destinations(self) -> Destinations:
        settings = self._settings
        return Destinations(
            settings.destinations,
            self.exporter,
            node=settings.node,
            cluster_node=settings.providers.kubernetes_node,
            in_thread=self._in_thread(),
        )

    def _open_history(self) -> None:
        if (history := self.exporter.keep()) is not None:
            self._closing.callback(history.close)
            self._queues.incidents.append(history)
        if (kills := self.exporter.keep_kills()) is not None:
            self._closing.callback(kills.close)
            self._queues.kills.append(kills)
        if (stuck := self.exporter.keep_stuck()) is not None:
            self._closing.callback(stuck.close)
            self._queues.stuck.append(stuck)

    def _ask_providers(self) -> MetadataProviders:
        settings = self._settings
        return MetadataProviders(
            settings.providers,
            self.exporter.event_lost,
            node=settings.node,
            on_mismatch=self.exporter.metrics.mismatch,
        )

    def _show(self, names: ContainerDiscovery, providers: MetadataProviders) -> None:
        self.exporter.follow(names.store, *providers.stores)
        self.exporter.metrics.watch_up = providers.watch_up
        for name, (depth, size) in providers.queues.items():
            self.exporter.show_queue(name, depth, size)
