# SPDX-License-Identifier: Apache-2.0
"""Where incidents are sent: a receiver of OTLP, webhooks.

Nothing of it is imported, and no thread is started, unless an option asks for it.
"""

from __future__ import annotations

import os

from ..system.closeable import Closeable
from ..system.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..exporter.exporter import Exporter
    from ..exporter.settings import ExporterSettings
    from ..incident.model import Incident
    from ..killers.model import Kill
    from ..otlp.settings import OtlpSettings
    from ..sending.counts import Counts, Sent
    from ..sending.waiting import Queue
    from ..stuck.model import Stuck


OTLP_VARIABLES = "OTEL_EXPORTER_OTLP_"
OTLP_OPTIONS = (
    *("otlp_endpoint", "otlp_headers_file", "otlp_ca_file", "otlp_cert_file", "otlp_key_file"),
    *("otlp_compression", "otlp_timeout"),
)


QUEUE_SIZE = 256  # incidents for a webhook, or kills by others, without a history
STUCK_SIZE = 64


class DestinationSettings(Settings):
    """To whom; None: to nobody."""

    otlp: OtlpSettings | None = None
    webhook_config: str | None = None

    @classmethod
    def from_options(
        cls, options: ExporterSettings, environ: Mapping[str, str] = os.environ
    ) -> DestinationSettings:
        """Raises `UsageError`."""
        return cls(otlp=_otlp(options, environ), webhook_config=options.webhook_config)

    @property
    def any(self) -> bool:
        return self.otlp is not None or self.webhook_config is not None


def _otlp(options: ExporterSettings, environ: Mapping[str, str]) -> OtlpSettings | None:
    """Import what reads them only where there is one."""
    given = (getattr(options, name) for name in OTLP_OPTIONS)
    variables = (name.startswith(OTLP_VARIABLES) for name in environ)
    if not any(variables) and all(each is None for each in given):
        return None
    from ..otlp.settings import OtlpSettings

    return OtlpSettings.from_options(options, environ)


class Destinations(Closeable):
    """``sinks`` take incidents, ``kill_sinks`` kills by others, ``stuck_sinks`` what is stuck.

    Closing sends what is left, for a moment. Webhooks are of incidents alone: they wake people.
    """

    def __init__(
        self,
        settings: DestinationSettings,
        exporter: Exporter,
        *,
        node: str | None,
        cluster_node: str | None,
        in_thread: Callable[[], None],
    ) -> None:
        """``node``: in records; ``cluster_node``: what the cluster calls it.

        ``in_thread`` is called at the start of each thread that sends. Raises `UsageError`.
        """
        from contextlib import ExitStack

        self.sinks: list[Callable[[Incident], None]] = []
        self.kill_sinks: list[Callable[[Kill], None]] = []
        self.stuck_sinks: list[Callable[[Stuck], None]] = []
        self._exporter = exporter
        self._in_thread = in_thread
        self._counts: dict[str, Counts] = {}
        self._closing = ExitStack()
        try:
            if settings.otlp is not None:
                self._open_otlp(settings.otlp, node, cluster_node)
            if settings.webhook_config is not None:
                self._open_webhooks(settings.webhook_config)
        except BaseException:
            self.close()
            raise

    def sent(self) -> Mapping[str, Sent]:
        """Return the numbers of now, by destination."""
        return {name: counts.now() for name, counts in self._counts.items()}

    def _open_otlp(
        self, settings: OtlpSettings, node: str | None, cluster_node: str | None
    ) -> None:
        from .. import __version__
        from ..incident.host import read_host
        from ..otlp.resource import resource
        from ..otlp.sender import OtlpSender

        counts, queue = self._queue("otlp", settings.queue_size, self._with_others)
        ours = resource(node=read_host(node).node, version=__version__, cluster_node=cluster_node)
        sender = OtlpSender(
            settings, queue, ours, version=__version__, counts=counts, in_thread=self._in_thread
        )
        self._closing.enter_context(sender)
        self.sinks.append(sender)
        self.kill_sinks.append(sender)
        self.stuck_sinks.append(sender)

    def _open_webhooks(self, path: str) -> None:
        from .. import __version__
        from ..webhook.config import read
        from ..webhook.sender import WebhookSender

        url = self._exporter.settings.external_url
        for each in read(path):
            counts, queue = self._queue(f"webhook-{each.name}", QUEUE_SIZE)
            sender = WebhookSender(
                each,
                queue,
                version=__version__,
                external_url=url,
                counts=counts,
                in_thread=self._in_thread,
            )
            self.sinks.append(self._closing.enter_context(sender))

    def _queue(
        self,
        name: str,
        size: int,
        more: Callable[[str, Queue, Callable[[int], None]], Queue] = lambda _, queue, __: queue,
    ) -> tuple[Counts, Queue]:
        """Return its counts, and what waits for it: in the history's file if there is one.

        ``more`` adds the queues of other records.
        """
        from ..sending.backlog import Backlog
        from ..sending.counts import Counts
        from ..sending.waiting import MemoryQueue

        exporter = self._exporter
        exporter.lost(name, 0)  # shown from 0
        counts = self._counts[name] = Counts(lambda incidents: exporter.lost(name, incidents))

        def dropped(incidents: int) -> None:
            counts.dropped("queue_full", incidents)

        file, path = exporter.history_file, exporter.settings.history
        queue: Queue
        if file is None or path is None:
            queue = MemoryQueue(size, dropped)
        else:
            size = exporter.settings.history_max_incidents
            queue = Backlog(file, path, name, size=size, on_dropped=dropped)
        queue = more(name, queue, dropped)
        exporter.show_queue(name, queue.depth, queue.size)
        return counts, queue

    def _with_others(self, name: str, queue: Queue, dropped: Callable[[int], None]) -> Queue:
        """Add a queue of kills by others, in their history's file if there is one, and of stuck."""
        from ..history.form import KILLS
        from ..incident.model import Incident
        from ..killers.model import Kill
        from ..sending.backlog import Backlog
        from ..sending.several import Several
        from ..sending.waiting import MemoryQueue
        from ..sinks.kill_names import kill_key
        from ..sinks.stuck_names import stuck_key
        from ..stuck.model import Stuck

        file, path = self._exporter.kills_file, self._exporter.settings.history
        kills: Queue
        if file is None or path is None:
            kills = MemoryQueue(QUEUE_SIZE, dropped, key=kill_key)
        else:
            size = self._exporter.settings.history_max_incidents
            kills = Backlog(
                file,
                os.path.realpath(path) + KILLS.suffix,
                name,
                size=size,
                on_dropped=dropped,
                form=KILLS,
                on_more=queue.wake,
            )
        stuck = MemoryQueue(STUCK_SIZE, dropped, key=stuck_key)
        return Several({Incident: queue, Kill: kills, Stuck: stuck})

    def close(self) -> None:
        self._closing.close()
