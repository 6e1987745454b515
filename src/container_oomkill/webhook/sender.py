# SPDX-License-Identifier: Apache-2.0
"""Sends messages to one webhook, from a thread of its own.

At least once. Kills that come while a message cannot be sent are told with it: an outage of an hour
is one message for each container, with counts.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ..errors import UsageError
from ..sending.client import HttpClient
from ..sending.counts import Counts
from ..sending.headers import read_headers
from ..sending.outcome import TRIES_MAX, Outcome, What, judge
from ..sending.sender import Sender
from ..sending.waiting import Queue
from ..sinks.names import Key
from ..system import log
from ..system.backoff import Backoff
from .config import OPTION, Webhook
from .fields import Message, values
from .grouping import Groups
from .signed import event_headers, signature_headers

AGENT = "container-oomkill"
TAKEN_MAX = 10_000  # kills that were taken from the queue and not told


class WebhookSender(Sender):
    """A sink and a context manager."""

    def __init__(
        self,
        webhook: Webhook,
        queue: Queue,
        *,
        version: str,
        external_url: str | None = None,
        counts: Counts | None = None,
        backoff: Backoff | None = None,
        in_thread: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """``in_thread`` is called at the start of the thread that sends. Raises `UsageError`."""
        agent = f"{AGENT}/{version}"
        client = HttpClient(webhook.where, agent=agent, tls=webhook.tls, seconds=webhook.seconds)
        super().__init__(
            f"webhook {webhook.name}",
            queue,
            client,
            counts=counts,
            backoff=backoff,
            in_thread=in_thread,
        )
        self._webhook = webhook
        self._external_url = external_url
        self._clock = clock
        self._wall = wall
        self._log = log.Once(f"{OPTION}: {webhook.name}")
        self._groups = Groups(webhook.group_interval, clock)
        self._taken: deque[tuple[int | None, Key]] = deque()
        self._told: dict[Key, int] = {}  # kills that are settled, and still in `_taken`
        self._tokens, self._refilled = float(webhook.burst), clock()
        self._not_before = 0.0  # after a failure
        self._tries = 0

    def send_all(self) -> None:
        """One message at a time, when it is due and allowed."""
        while True:
            self._collect()
            wait: float | None
            found = self._groups.next()
            if isinstance(found, tuple):
                wait = self._until_allowed()
                if not wait:
                    self._tell(*found)
                    continue
            else:
                wait = found
            if self.worker.ending:
                return  # nothing is due, or not allowed yet
            self.queue.wait(wait)

    def _collect(self) -> None:
        """Take what waits in the queue into the groups, as long as there is room."""
        while self._groups.has_room() and len(self._taken) < TAKEN_MAX:
            items = self.queue.take(1)
            if not items:
                return
            for item in items:
                self._taken.append((item.number, self._groups.add(item.incident)))

    def _until_allowed(self) -> float:
        """Return how long to wait for the right to one more request."""
        now, refill = self._clock(), 60.0 / self._webhook.per_minute
        gained = (now - self._refilled) / refill
        self._tokens, self._refilled = min(self._webhook.burst, self._tokens + gained), now
        return max((1 - self._tokens) * refill, self._not_before - now, 0.0)

    def _tell(self, key: Key, message: Message) -> None:
        self._tokens -= 1
        outcome = self._sent(message)
        what = outcome.what
        if what is What.FAILED:
            self._tries += 1
            what = What.RETRY if self._tries < TRIES_MAX else What.REFUSED
        if what is What.RETRY:
            self.counts.retried()
            self._log.warn(outcome.words)
            self._not_before = self._clock() + self._backoff.next(outcome.retry_after)
            return
        self._tries = 0
        if what is What.SENT:
            self.counts.sent(message.count)
            self._backoff.reset()
            if self._log.clear():
                log.info(f"{OPTION}: {self._webhook.name}: works again")
        else:
            self.counts.dropped(what.value, message.count)
            log.warn(f"{OPTION}: {self._webhook.name}: dropped {message.count}: {outcome.words}")
        self._groups.told(key, message)
        self._settle(key, message.count)

    def _sent(self, message: Message) -> Outcome:
        webhook = self._webhook
        found = values(message, external_url=self._external_url, secrets=webhook.secrets)
        body = webhook.template.body(found)
        try:
            given = read_headers(webhook.headers_file) if webhook.headers_file else {}
        except UsageError as error:  # a token's file that is being replaced
            return Outcome(What.RETRY, str(error))
        headers = given | event_headers(message)
        if webhook.key is not None:
            headers |= signature_headers(webhook.key, message.id, self._wall(), body)
        return judge(lambda: self._client.post(body, headers))

    def _settle(self, key: Key, count: int) -> None:
        """Tell the queue of all kills before the first that is not told."""
        self._told[key] = self._told.get(key, 0) + count
        settled: list[int | None] = []
        while self._taken and (left := self._told.get(self._taken[0][1], 0)):
            number, whose = self._taken.popleft()
            settled.append(number)
            self._told[whose] = left - 1
            if left == 1:
                del self._told[whose]
        if settled:
            self.queue.settled(settled)
