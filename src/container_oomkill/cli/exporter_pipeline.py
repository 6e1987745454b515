# SPDX-License-Identifier: Apache-2.0
"""Builds what the exporter's records go through, and the log that they are written to.

Imported once it serves: records wait in the ring meanwhile.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, TextIO, TypeVar

from ..history.fair import whose
from ..pipeline.kills import KillDelivery
from ..pipeline.pipeline import Pipeline
from ..pipeline.stuck import StuckDelivery
from ..sinks.buffered import BufferedSink
from ..sinks.formats import open_sink
from ..sinks.kill_formats import open_kill_sink
from ..sinks.kill_names import kill_key
from ..sinks.names import container_key
from ..sinks.stuck_formats import open_stuck_sink
from ..sinks.stuck_names import stuck_key
from ..system import standard_streams
from ..system.closeable import Closeable
from .attaching import Completion, killable, warn_stuck

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..exporter.exporter import Exporter
    from ..identity.resolver import Resolver
    from ..incident.model import Incident
    from ..incident.stack_decoder import Symbols
    from ..pipeline.kills import PodEnds
    from ..probe.probe import Probe
    from ..sinks.names import Key
    from ..stuck.model import Stuck
    from .destinations import Destinations
    from .exporter_queues import Queues
    from .exporter_settings import ExporterCommandSettings

T = TypeVar("T")


class ExporterPipeline(Closeable):
    """Closing waits for the log."""

    def __init__(
        self,
        settings: ExporterCommandSettings,
        probe: Probe,
        exporter: Exporter,
        *,
        stdout: TextIO,
        queues: Queues,
        sinks: Sequence[Callable[[Incident], None]],
        others: Destinations,
        resolver: Resolver,
        symbols: Symbols,
        pod_ends: PodEnds | None,
    ) -> None:
        """``sinks``: besides our pages, ``others``, and ``queues``, which get those of the log."""
        self._settings = settings
        self._probe = probe
        self._exporter = exporter
        self._stdout = stdout
        self._queues = queues
        self._resolver = resolver
        self._pod_ends = pod_ends
        self._others = others
        self._closing = ExitStack()
        try:
            self._open_log()
            self.pipeline = self._made(sinks, symbols)
        except BaseException:
            self.close()
            raise

    def _made(self, sinks: Sequence[Callable[[Incident], None]], symbols: Symbols) -> Pipeline:
        settings, exporter = self._settings, self._exporter
        complete = Completion(settings.attach, settings.state.host_root, self._probe)
        return Pipeline(
            self._probe,
            # In this order: metrics and pages never wait for a disk.
            [exporter.show, *self._queues.incidents, *sinks, *self._others.sinks],
            count=exporter.metrics,
            buffered=self._queues.incidents,
            node=settings.node,
            complete=self._closing.enter_context(complete),
            resolve=self._resolver.resolve,
            on_lost=exporter.lost,
            symbols=symbols,
            kills=self._deliver_kills(),
            stuck=self._deliver_stuck(),
        )

    def close(self) -> None:
        self._closing.close()

    def _open_log(self) -> None:
        """A queue for each kind, so that kills by others take no place of an incident."""
        output = self._settings.exporter.log_incidents
        if output == "off":
            return
        incidents = self._queued(
            "log",
            open_sink(output, self._stdout),
            container_key,
            lambda incident: incident.sequence,
        )
        self._exporter.show_queue("log", incidents.depth, self._settings.exporter.log_queue_size)
        self._queues.incidents.append(incidents)
        if self._probe.killers is not None:
            kills = open_kill_sink(output, self._stdout)
            self._queues.kills.append(self._queued("log of kills", kills, kill_key))
        if self._probe.recorder is not None:
            stuck = open_stuck_sink(output, self._stdout)
            self._queues.stuck.append(self._queued("log of what was stuck", stuck, stuck_key))

    def _queued(
        self,
        name: str,
        sink: Callable[[T], None],
        key: Callable[[T], Key],
        number: Callable[[T], int] = lambda _: 0,  # these hold nothing back in a ring
    ) -> BufferedSink[T]:
        exporter, size = self._exporter, self._settings.exporter.log_queue_size
        made = BufferedSink(
            sink,
            lambda: exporter.lost("log"),
            name=name,
            size=size,
            number=number,
            whose=whose(key),
        )

        def abandon() -> None:
            """What it could not write it has logged; that is no failure of the exporter."""
            if made.broken or made.depth():
                standard_streams.abandon_stdout()

        self._closing.callback(abandon)
        self._closing.callback(made.close)
        return made

    def _deliver_kills(self) -> KillDelivery | None:
        if (killers := self._probe.killers) is None:
            return None
        return KillDelivery(
            killers,
            [self._exporter.kill_sink, *self._queues.kills, *self._others.kill_sinks],
            self._resolver,
            node=self._settings.node,
            on_lost=self._exporter.lost,
            pod_ends=self._pod_ends,
        )

    def _deliver_stuck(self) -> StuckDelivery | None:
        """Return what delivers what is out of memory without a kill; None: nothing looks for it."""
        if (recorder := self._probe.recorder) is None:
            return None
        exporter, settings = self._exporter, self._settings

        def begin(stuck: Stuck) -> None:
            exporter.stuck_begins(stuck)
            warn_stuck(stuck)
            for sink in self._others.stuck_sinks:
                sink(stuck)

        return StuckDelivery(
            recorder.stuck,
            [exporter.stuck_sink, *self._queues.stuck, *self._others.stuck_sinks],
            self._resolver,
            node=settings.node,
            on_begin=begin,
            on_going=exporter.stuck_goes_on,
            on_lost=exporter.lost,
            killable=killable(settings.state.host_root),
        )
