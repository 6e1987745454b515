# SPDX-License-Identifier: Apache-2.0
"""The exporter: puts metrics, history, web server and service manager around a probe.

Imports nothing heavy before an `Exporter` is created: attaching comes first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import Error, UsageError
from ..probe.kernel_counts import read_kernel_kills
from ..system import log
from ..system.closeable import Closeable
from .settings import ExporterSettings, options

if TYPE_CHECKING:
    from ..history.file import HistoryFile
    from ..history.last_count import LastCount
    from ..identity.metadata import ContainerMetadata, Key
    from ..identity.resolver import Resolver
    from ..identity.store import Store
    from ..incident.model import Container, Incident
    from ..killers.model import Kill
    from ..metrics.metrics import ProbeStatus
    from ..sinks.buffered import BufferedSink
    from ..stuck.model import Stuck
    from ..system.sd_notify import Notifier
    from ..web.http.listen import Address

__all__ = ["Exporter", "ExporterSettings", "options"]

HEARTBEAT_SECONDS = 5.0  # the reader of the ring shows that it is alive at least this often
SILENT_SECONDS = 3 * HEARTBEAT_SECONDS


def label_key(
    known: Container | ContainerMetadata, path: str | None = None
) -> tuple[str, str, str]:
    """Return namespace, pod and container as the labels of its metrics have them."""
    from ..sinks.names import counted_as

    return counted_as(known, path)


class Exporter(Closeable):
    """Made once the probe is attached; `start` binds, then `sink` takes every incident."""

    def __init__(
        self,
        settings: ExporterSettings,
        status: ProbeStatus,
        *,
        version: str,
        render: Callable[[Incident], str],
        node: str | None = None,
        kernel_kills: Callable[[], int | None] = read_kernel_kills,
        kernel_kills_before: int | None = None,
        watched_since: float | None = None,
        recorded_meanwhile: bool = False,
        notifier: Notifier | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """``render``: an incident as one JSON object; ``node``: default: the host's name.

        ``kernel_kills_before``: what ``kernel_kills`` gave right before attaching;
        ``watched_since``: from when on a kill is shown here, seconds since the epoch; default: now;
        ``recorded_meanwhile``: by pinned hooks, while no process ran.
        """
        from ..history.history import History
        from ..history.kills import KillHistory
        from ..history.stuck import StuckHistory
        from ..metrics.metrics import Metrics
        from ..system.sd_notify import Notifier

        self.settings = settings
        self._status = status
        self._node = node or os.uname().nodename
        self._wall = wall
        self._watched_since = wall() if watched_since is None else watched_since
        self._render = render
        self._notifier = notifier or Notifier()
        self._monotonic = monotonic
        self._reading = False
        self._announced = False
        self._heartbeat_at = monotonic()
        self.heartbeat_seconds = min(
            HEARTBEAT_SECONDS, self._notifier.watchdog_seconds or HEARTBEAT_SECONDS
        )
        self._queued: dict[str, tuple[Callable[[], int], int]] = {}
        self.metrics = Metrics(
            status,
            version=version,
            expiry_seconds=settings.expiry_seconds,
            max_containers=settings.max_containers,
            kernel_kills=kernel_kills,
            kernel_kills_before=kernel_kills_before,
            queues=self._queues,
            external_url=settings.external_url,
        )
        self._kernel_kills = kernel_kills
        self._kills_before = kernel_kills_before
        if recorded_meanwhile:
            self.metrics.missed_while_down = 0
        self._recorded: dict[int | None, int] = {}  # by cgroup: kills that the history has
        self.history = History(settings.max_incidents)
        self.history_file: HistoryFile | None = None  # of `keep`
        self.kills = KillHistory(settings.max_incidents)
        self.kills_file: HistoryFile | None = None  # of `keep_kills`
        self.stuck = StuckHistory(settings.max_incidents, monotonic=monotonic, wall=wall)
        self._names: Sequence[Store] = ()
        self._names_seen: list[int] = []  # their versions
        self._known: dict[tuple[str, str, str], str] = {}  # workloads by `label_key`
        self._close: Callable[[], None] = lambda: None
        self._notify_streams: Callable[[], None] = lambda: None
        self._failure: Callable[[], BaseException | None] = lambda: None
        self.refused: str | None = None  # why there is no probe yet
        self.addresses: list[Address] = []  # that are bound
        self._tls = False

    def sink(self, incident: Incident) -> None:
        """Take an incident: it is on /metrics and on every page when this returns."""
        self.metrics(incident)
        self.show(incident)

    def show(self, incident: Incident) -> None:
        """Take an incident that `metrics` has: it is on every page when this returns."""
        self.history(incident)
        self._notify_streams()

    def kill_sink(self, kill: Kill) -> None:
        """Take a kill by another, as `sink` takes an incident."""
        self.metrics.by_another(kill)
        self.kills(kill)
        self._notify_streams()

    def stuck_begins(self, stuck: Stuck) -> None:
        """Count an episode of a cgroup out of memory in which nothing is killed."""
        self.metrics.stuck.begin(stuck)

    def stuck_goes_on(self, stuck: Stuck) -> None:
        """Show one: at its begin, and each minute."""
        self.metrics.stuck.goes_on(stuck)
        self.stuck.goes_on(stuck)
        self._notify_streams()

    def stuck_sink(self, stuck: Stuck) -> None:
        """Take one that is over."""
        self.metrics.stuck.end(stuck)
        self.stuck(stuck)
        self._notify_streams()

    def lost(self, reason: str, records: int = 1) -> None:
        """Count records that could not be delivered."""
        self.metrics.lost(reason, records)

    def show_queue(self, name: str, depth: Callable[[], int], size: int) -> None:
        """Show how much waits in a queue that holds ``size``."""
        # In a new one: a scrape may be going through the other.
        self._queued = {**self._queued, name: (depth, size)}

    def _queues(self) -> dict[str, tuple[int, int]]:
        others = {name: (depth(), size) for name, (depth, size) in self._queued.items()}
        return {"ring": self._status.ring_use(), **others}

    def earlier(self, kills: Iterable[tuple[str, int, int, int]], resolve: Resolver) -> None:
        """Show the kills that cgroups count from before the start.

        ``kills``: path, id and count of each, and when it was counted, CLOCK_BOOTTIME in ns.
        Without those that the history has: they are on the pages, and counted already.
        """
        for path, cgroup_id, counted, at_ns in kills:
            number = counted - self._recorded.get(cgroup_id, 0)
            if path != "/" and number > 0:  # the root has none of its own
                self.metrics.earlier(label_key(resolve.container(path), path), number, at_ns)

    def event_lost(self, incidents: int) -> None:
        """Count incidents that had no Event on their pod, because the API did not take it."""
        self.metrics.lost("kubernetes_event", incidents)

    def keep(self) -> BufferedSink[Incident] | None:
        """Show what ``--history`` has of earlier runs; return the sink that adds to it.

        Raises `UsageError` for an unusable file. On a full or broken disk there is no history.
        """
        settings = self.settings
        if settings.history is None:
            return None
        from ..history.fair import whose
        from ..history.file import HistoryFile
        from ..history.form import INCIDENTS
        from ..sinks.buffered import BufferedSink

        lost = self._history_lost
        try:
            file = HistoryFile(
                settings.history,
                max_incidents=settings.history_max_incidents,
                max_bytes=settings.history_max_bytes,
                on_lost=lost,
            )
        except UsageError:
            raise
        except Error as error:
            log.warn(f"{error}: continuing without history")
            return None
        self.history_file = file
        loaded = file.load()
        for incident in loaded:
            self.history(incident)
        if file.had_more:
            self.history.begin_late()
        last_count = self._restore(loaded, settings.history)
        size = settings.log_queue_size

        def write(incident: Incident) -> None:
            file(incident)
            last_count.write()

        def at_end() -> None:
            last_count.write()
            file.close()

        kept = BufferedSink(
            write, lost, name="history", size=size, at_end=at_end, whose=whose(INCIDENTS.key)
        )
        self.show_queue("history", kept.depth, size)
        return kept

    def keep_kills(self) -> BufferedSink[Kill] | None:
        """The same for kills by others, in a file of their own beside it."""
        if (path := self.settings.history) is None or self._status.killers_status() is None:
            return None
        from ..history.form import KILLS
        from .kept_beside import keep_beside

        def opened(file: HistoryFile) -> None:
            self.kills_file = file

        return keep_beside(
            path, self.settings, KILLS, show=self.kills, lost=self._history_lost, opened=opened
        )

    def keep_stuck(self) -> BufferedSink[Stuck] | None:
        """The same for what was out of memory without a kill."""
        if (path := self.settings.history) is None or self._status.recorder_status() is None:
            return None
        from ..history.form import STUCK
        from .kept_beside import keep_beside

        return keep_beside(path, self.settings, STUCK, show=self.stuck, lost=self._history_lost)

    def _history_lost(self) -> None:
        self.metrics.lost("history")

    def _restore(self, loaded: list[Incident], path: str) -> LastCount:
        """Show in the metrics what earlier processes recorded, and how much they missed."""
        from ..history.last_count import LastCount, recorded_by_cgroup

        self.metrics.restore(loaded)
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._recorded = recorded_by_cgroup(loaded, now=self._wall(), now_boot_ns=boot_ns)
        last_count = LastCount(path, kernel_kills=self._kernel_kills)
        if self.metrics.missed_while_down is None:
            self.metrics.missed_while_down = last_count.missed(self._kills_before, loaded)
        last_count.write()
        return last_count

    def follow(self, *names: Store) -> None:
        """Show the counters of every container that ``names`` know, at 0 from its start on."""
        self._names, self._names_seen = names, []
        self._look_at_names()

    def _look_at_names(self) -> None:
        versions = [names.version() for names in self._names]
        if versions == self._names_seen:
            return
        self._names_seen = versions
        from ..identity.metadata import SANDBOX
        from ..sinks.names import workload_of

        whole: dict[Key, ContainerMetadata] = {}  # a runtime's state does not know the workload
        for each in (each for names in self._names for each in names.live()):
            other = whole.get(each.key())
            whole[each.key()] = each if other is None else other.filled_from(each)
        known: dict[tuple[str, str, str], str] = {}
        for each in whole.values():
            if each.name != SANDBOX:
                labels = label_key(each)
                known[labels] = known.get(labels) or workload_of(each)
        for labels, workload in known.items():
            before = self._known.get(labels)
            if before != workload:
                self.metrics.register(labels, workload)
                if before is not None:
                    self.metrics.forget(labels)  # it is registered once
        for labels in self._known.keys() - known.keys():
            self.metrics.forget(labels)
        self._known = known

    def start(
        self,
        *,
        bound: Callable[[], None] = lambda: None,
        in_thread: Callable[[], None] = lambda: None,
    ) -> None:
        """Bind every address and serve. Raises `UsageError` for what the user can fix.

        ``bound`` is called between the two, before there is any thread, ``in_thread`` at the start
        of each thread that serves.
        """
        from ..web.http.hosts import Hosts, local_names
        from ..web.http.listen import Listener, parse_address
        from ..web.http.server import Limits, Server
        from ..web.routes import Routes

        settings = self.settings
        settings.check()
        config = None
        if settings.web_config_file:
            from ..web.http.web_config import WebConfig

            config = WebConfig(settings.web_config_file)
            self._tls = config.has_tls
        # The environment's way to give several: with commas.
        addresses = [parse_address(text) for text in _each(settings.listen_addresses)]
        hosts = Hosts(
            [
                *local_names(os.uname().nodename),
                *local_names(self._node),
                *(address.host for address in addresses),
                *_each(settings.allowed_hosts),
            ],
            settings.external_url,
        )
        routes = Routes(
            metrics=self.metrics,
            history=self.history,
            kills=self.kills,
            stuck=self.stuck,
            render=self._render,
            not_ready=self.not_ready,
            node=self._node,
            watched_since=self._watched_since,
            wall=self._wall,
            telemetry_path=settings.telemetry_path,
            auth=lambda: None if config is None else config.auth,
            knows_host=lambda host: (config is not None and config.has_tls) or hosts.knows(host),
        )
        listeners: list[Listener] = []
        try:
            for address in addresses:
                listeners.append(Listener(address))  # noqa: PERF401 - to be closed one by one
        except UsageError:
            for listener in listeners:
                listener.close()
            raise
        limits = Limits(connections=settings.max_connections, heavy=settings.max_requests)
        bound()
        server = Server(listeners, routes, config=config, limits=limits, before=in_thread)
        self.addresses = [listener.bound for listener in listeners]
        self._close = server.close
        self._notify_streams = server.notify_streams
        self._failure = lambda: server.worker.failure
        server.start()

    def url(self) -> str | None:
        """Return where a browser on this machine finds it; None: it has unix sockets only."""
        from ..web.http.listen import EVERY_INTERFACE

        scheme = "https" if self._tls else "http"
        for address in self.addresses:
            if not address.path:
                host = "localhost" if address.host in EVERY_INTERFACE else address.host
                return f"{scheme}://{replace(address, host=host)}"
        return None

    def ready(self, reading: bool) -> None:
        """Say that the ring is being read from now on, or no longer."""
        self._reading = reading
        self.heartbeat()
        if reading and not self._announced:
            self._announced = True
            self._notifier.ready(f"watching the OOM killer with {self._status.hook}")

    def heartbeat(self) -> None:
        """Show that the ring is being read: its reader calls this every ``heartbeat_seconds``.

        Raises `Error` if the web server has died: an answering one always means a live probe, and
        the other way round.
        """
        self._heartbeat_at = self._monotonic()
        if (failure := self._failure()) is not None:
            raise Error(f"web server stopped: {type(failure).__name__}: {failure}")
        self._look_at_names()
        self._notifier.alive()

    def not_ready(self) -> str | None:
        """Return why /readyz is not 200, None if it is."""
        if not self._status.attached:
            return self.refused or "the hooks are not attached"
        if not self._reading or self._monotonic() - self._heartbeat_at > SILENT_SECONDS:
            return "the ring buffer is not being read"
        return None

    def close(self) -> None:
        """Stop serving; may be called again."""
        if self._announced:
            self._announced = False
            self._notifier.stopping()
        self._reading = False
        self._close()


def _each(texts: Iterable[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",")]
