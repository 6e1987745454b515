# SPDX-License-Identifier: Apache-2.0
"""Sends incidents as OpenTelemetry logs, in batches, from a thread of its own.

At least once, in order. What waits is in the `Queue`; of it, no more than one batch is in memory
here. A batch that is refused is halved until the one record is found that is the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from ..incident.model import Incident
from ..killers.model import Kill
from ..sending.client import HttpClient, parsed_url
from ..sending.counts import Counts
from ..sending.headers import read_headers
from ..sending.outcome import TRIES_MAX, Outcome, What, judge
from ..sending.sender import Sender
from ..sending.tls import TlsFiles
from ..sending.waiting import Item, Queue
from ..stuck.model import Stuck
from ..system import log
from ..system.backoff import Backoff
from .log_record import RECORD, log_record
from .other_records import kill_log_record, stuck_log_record
from .request import NotOtlpError, Request, rejected
from .resource import SERVICE, pairs
from .settings import PREFIX, OtlpSettings

BATCH = 100  # incidents
BATCH_BYTES = 1 << 20  # before compression; receivers take 4 MiB and more

Encoded = tuple[Item, bytes, bool]  # the last: with its record


class OtlpSender(Sender):
    """A sink and a context manager."""

    def __init__(
        self,
        settings: OtlpSettings,
        queue: Queue,
        resource: dict[str, Any],
        *,
        version: str,
        counts: Counts | None = None,
        backoff: Backoff | None = None,
        in_thread: Callable[[], None] = lambda: None,
    ) -> None:
        """``in_thread`` is called at the start of the thread that sends.

        Raises `UsageError` for what cannot be used: a URL, a certificate, a file of headers.
        """
        self._settings = settings
        self._request = Request(resource, version=version, gzip=settings.gzip)
        self._log = log.Once(f"send to {settings.where}")
        self._given = pairs(settings.headers, PREFIX + "HEADERS")
        self._headers()
        try:
            where = parsed_url(settings.url)
        except UsageError as error:
            raise UsageError(f"{settings.where}: {error}") from None
        tls = TlsFiles(settings.ca_file, settings.cert_file, settings.key_file)
        agent = f"{SERVICE}/{version}"
        client = HttpClient(where, agent=agent, tls=tls, seconds=settings.seconds)
        super().__init__("otlp", queue, client, counts=counts, backoff=backoff, in_thread=in_thread)

    def send_all(self) -> None:
        """In batches."""
        while True:
            if items := self.queue.take(BATCH):
                if not self._settled(items):
                    return
            elif self.worker.ending:
                return
            else:
                self.queue.wait(None)

    def _settled(self, items: list[Item]) -> bool:
        """Send them or drop them; False if it is to end before that."""
        waiting = list(reversed(_parts([(each, encode(each.incident), True) for each in items])))
        tries = 0
        while waiting:
            part = waiting[-1]
            outcome = self._sent(part)
            if outcome.what is What.SENT:
                self._say_healthy()
            elif outcome.what in (What.RETRY, What.FAILED):
                tries += 1
                if outcome.what is What.RETRY or tries < TRIES_MAX:
                    self.counts.retried()
                    self._log.warn(outcome.words)
                    self.worker.pause(self._backoff.next(outcome.retry_after))
                    if self.worker.ending:
                        return False
                    continue
                self._split_or_drop(waiting, What.REFUSED, outcome.words)
                tries = 0
                continue
            else:
                self._split_or_drop(waiting, outcome.what, outcome.words)
                continue
            tries = 0
            waiting.pop()
            self.queue.settled([item.number for item, _, _ in part])
        return True

    def _sent(self, part: list[Encoded]) -> Outcome:
        body = self._request.body([record for _, record, _ in part])

        def headers() -> dict[str, str]:
            return {**self._given, **self._headers(), **self._request.headers}

        try:
            found = headers()
        except UsageError as error:  # a token's file that is being replaced
            return Outcome(What.RETRY, str(error))
        outcome = judge(lambda: self._client.post(body, found))
        if outcome.what is not What.SENT or outcome.answer is None:
            return outcome
        try:
            missing, words = rejected(outcome.answer)
        except NotOtlpError as error:
            return Outcome(What.RETRY, str(error))
        missing = min(missing, len(part))
        self.counts.sent(len(part) - missing)
        if missing:
            self.counts.dropped("partial_success", missing)
            log.warn(f"OTLP: the receiver did not take {missing} of {len(part)} records: {words}")
        return outcome

    def _split_or_drop(self, waiting: list[list[Encoded]], what: What, words: str) -> None:
        part = waiting.pop()
        if len(part) > 1:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
            return
        ((item, _, whole),) = part
        if what is What.TOO_LARGE and whole:
            waiting.append([(item, encode(item.incident, whole=False), False)])
            return
        self.counts.dropped(what.value, 1)
        log.warn(f"OTLP: dropped incident {item.incident.id}: {words}")
        self.queue.settled([item.number])

    def _say_healthy(self) -> None:
        self._backoff.reset()
        if self._log.clear():
            log.info(f"send to {self._settings.where}: works again")

    def _headers(self) -> dict[str, str]:
        return read_headers(self._settings.headers_file) if self._settings.headers_file else {}


def encode(incident: Incident | Kill | Stuck, *, whole: bool = True) -> bytes:
    """Return its LogRecord; ``whole``: with the record as an attribute."""
    if isinstance(incident, Kill):
        record = kill_log_record(incident)
    elif isinstance(incident, Stuck):
        record = stuck_log_record(incident)
    else:
        record = log_record(incident)
    if not whole:
        record["attributes"] = [each for each in record["attributes"] if each["key"] != RECORD]
    return json.dumps(record, separators=(",", ":")).encode()


def _parts(encoded: list[Encoded]) -> list[list[Encoded]]:
    """Split them where a request would become too large."""
    parts: list[list[Encoded]] = []
    size = BATCH_BYTES
    for each in encoded:
        if size + len(each[1]) > BATCH_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(each)
        size += len(each[1])
    return parts
