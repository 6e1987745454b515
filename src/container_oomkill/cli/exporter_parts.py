# SPDX-License-Identifier: Apache-2.0
"""Builds the exporter's parts, in order, around an attached probe.

Imported after attaching, so it may import whatever it needs.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, TextIO, TypeVar

from .. import __version__
from ..exporter.exporter import Exporter
from ..identity.resolver import Resolver
from ..pipeline.kills import KillDelivery
from ..pipeline.pipeline import Pipeline
from ..pipeline.stuck import StuckDelivery
from ..probe.kernel_counts import counts_by_cgroup
from ..sinks import json_lines
from ..sinks.buffered import BufferedSink
from ..sinks.formats import open_sink
from ..sinks.kill_formats import open_kill_sink
from ..sinks.stuck_formats import open_stuck_sink
from ..system import log, privileges, standard_streams
from ..system.closeable import Closeable
from ..system.worker import Worker
from .attaching import Completion, killable, warn_stuck
from .destinations import Destinations
from .metadata_providers import MetadataProviders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..identity.discovery import ContainerDiscovery
    from ..incident.model import Incident
    from ..killers.model import Kill
    from ..probe.probe import Probe
    from ..stuck.model import Stuck
    from ..system.shutdown import ShutdownRequest
    from .exporter_settings import ExporterCommandSettings

T = TypeVar("T")


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
        self._buffered: list[
            BufferedSink[Incident]
        ] = []  # their queues hold the ring's records back
        self._buffered_kills: list[BufferedSink[Kill]] = []
        self._buffered_stuck: list[BufferedSink[Stuck]] = []
        self._closing = ExitStack()
        try:
            self._make(started, cgroups)
        except BaseException:
            self.close()
            raise

    def _make(self, started: float, cgroups: str) -> None:
        # 1. The kernel's counts from before: the raw tracepoint gets them through bpf(), which is
        #    denied from step 3 on, and no kill that comes later may be among them.
        earlier = list(counts_by_cgroup(cgroups))
        self._probe.enter_earlier_counts(earlier)
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
        resolver = Resolver(names, providers.asked)
        self.exporter.earlier((each[:3] for each in earlier if each[2]), resolver)
        # 6. What takes incidents, in this order: metrics and pages never wait for a disk.
        self._open_log()
        others = self._closing.enter_context(self._open_destinations())
        self.exporter.metrics.destinations = others.sent
        self.pipeline = self._make_pipeline([*providers.sinks, *others.sinks], resolver)
        # 7. Last, so that it is the first to be closed: what it serves is going.
        self._closing.callback(self.exporter.close)

    def run(self, stop: ShutdownRequest) -> None:
        """Deliver until stopped; ready while it does."""
        exporter = self.exporter
        exporter.ready(True)  # who reads the lines below may ask for it at once
        for address in exporter.addresses:
            log.info(f"attached with {self._probe.hook}, listening on {address}")
        if self._at_terminal and (url := exporter.url()) is not None:
            path = self._settings.exporter.telemetry_path
            log.info(f"open {url}/ to see what is killed; Prometheus scrapes {url}{path}")
        self.pipeline.run(
            stop, heartbeat=exporter.heartbeat, heartbeat_seconds=exporter.heartbeat_seconds
        )
        exporter.ready(False)

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
            self._buffered.append(history)
        if (kills := self.exporter.keep_kills()) is not None:
            self._closing.callback(kills.close)
            self._buffered_kills.append(kills)
        if (stuck := self.exporter.keep_stuck()) is not None:
            self._closing.callback(stuck.close)
            self._buffered_stuck.append(stuck)

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

    def _open_log(self) -> None:
        exporter, settings = self.exporter, self._settings.exporter
        if settings.log_incidents == "off":
            return
        written = open_sink(settings.log_incidents, self._stdout)
        buffered = BufferedSink(written, lambda: exporter.lost("log"), size=settings.log_queue_size)
        # It has logged what it could not write; that is no failure of the exporter.
        self._closing.callback(
            lambda: standard_streams.abandon_stdout() if buffered.broken else None
        )
        self._closing.callback(buffered.close)
        exporter.show_queue("log", buffered.depth, settings.log_queue_size)
        self._buffered.append(buffered)
        output = settings.log_incidents
        if self._probe.killers is not None:
            kills = open_kill_sink(output, self._stdout)
            self._buffered_kills.append(self._open_log_of("kills", kills))
        if self._probe.recorder is not None:
            stuck = open_stuck_sink(output, self._stdout)
            self._buffered_stuck.append(self._open_log_of("what was stuck", stuck))

    def _open_log_of(self, what: str, sink: Callable[[T], None]) -> BufferedSink[T]:
        """A queue of its own, so that it takes no place of an incident."""
        exporter = self.exporter
        buffered = BufferedSink(
            sink,
            lambda: exporter.lost("log"),
            name=f"log of {what}",
            size=self._settings.exporter.log_queue_size,
            number=lambda _: 0,
        )
        self._closing.callback(
            lambda: standard_streams.abandon_stdout() if buffered.broken else None
        )
        self._closing.callback(buffered.close)
        return buffered

    def _make_pipeline(
        self, sinks: Sequence[Callable[[Incident], None]], resolver: Resolver
    ) -> Pipeline:
        settings = self._settings
        complete = Completion(settings.attach, settings.state.host_root, self._probe)
        return Pipeline(
            self._probe,
            [self.exporter.show, *self._buffered, *sinks],
            count=self.exporter.metrics,
            buffered=self._buffered,
            node=settings.node,
            complete=self._closing.enter_context(complete),
            resolve=resolver.resolve,
            on_lost=self.exporter.lost,
            symbols=self._functions.symbols,
            kills=self._deliver_kills(resolver),
            stuck=self._make_stuck(resolver),
        )

    def _deliver_kills(self, resolver: Resolver) -> KillDelivery | None:
        if self._probe.killers is None:
            return None
        return KillDelivery(
            self._probe.killers,
            [self.exporter.kill_sink, *self._buffered_kills],
            resolver,
            node=self._settings.node,
            on_lost=self.exporter.lost,
        )

    def _make_stuck(self, resolver: Resolver) -> StuckDelivery | None:
        """Return what delivers what is out of memory without a kill; None: nothing looks for it."""
        if (recorder := self._probe.recorder) is None:
            return None
        exporter, settings = self.exporter, self._settings

        def begin(stuck: Stuck) -> None:
            exporter.stuck_begins(stuck)
            warn_stuck(stuck)

        return StuckDelivery(
            recorder.stuck,
            [exporter.stuck_sink, *self._buffered_stuck],
            resolver,
            node=settings.node,
            on_begin=begin,
            on_going=exporter.stuck_goes_on,
            on_lost=exporter.lost,
            killable=killable(settings.state.host_root),
        )
