# SPDX-License-Identifier: Apache-2.0
"""Asks many exporters at once, each within a time and all within another."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from ..errors import Error
from ..kubernetes.api import Api
from ..kubernetes.errors import ApiError
from ..system.worker import Worker
from .answers import Found, read_answer
from .exporters import DENIED, Exporter

INCIDENTS = "/api/v1/incidents"
AT_ONCE = 32  # an API server takes 400 by default, from all of its clients
ALL_TIMES = 4  # of the time for one, for all of them
BUSY_SECONDS = 0.5  # to wait where the API server does not say how long


@dataclass(frozen=True, slots=True)
class Missing:
    """A node whose incidents are not all in the answer; ``denied``: for want of a right."""

    node: str
    why: str
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of one exporter's incidents, newest first."""

    exporter: Exporter
    number: int
    found: Sequence[Found]
    more: bool


class Asking:
    """``seconds``: for one exporter."""

    def __init__(self, api: Api, seconds: float) -> None:
        self._api = api
        self._seconds = seconds
        self._until = time.monotonic() + ALL_TIMES * seconds

    def pages(
        self, wanted: Sequence[tuple[Exporter, int]], query: Mapping[str, str]
    ) -> Iterator[Page | Missing]:
        """Yield the page of each, in whatever order they come; never waits longer than said.

        Raises `Error` if a credential plugin does.
        """
        waiting = deque(wanted)
        answers: SimpleQueue[Page | Missing | Error | None] = SimpleQueue()

        def work() -> None:
            while waiting:
                try:
                    exporter, number = waiting.popleft()
                except IndexError:
                    return  # another one was faster
                try:
                    answers.put(self._page(exporter, number, query))
                except Error as error:
                    answers.put(error)

        workers = [Worker(f"ask {number}") for number in range(min(AT_ONCE, len(wanted)))]
        for worker in workers:
            worker.start(work, failed=lambda: answers.put(None))
        silent = {exporter.node for exporter, _ in wanted}
        try:
            while silent:
                try:
                    answer = answers.get(timeout=max(0.0, self._until - time.monotonic()))
                except Empty:
                    break
                if answer is None:
                    for worker in workers:
                        worker.check()
                elif isinstance(answer, Error):
                    raise answer
                else:
                    silent.discard(_node(answer))
                    yield answer
        finally:
            waiting.clear()  # who still waits for an answer is left to the end of the process
        for node in sorted(silent):
            yield Missing(node, "timed out")

    def _page(self, exporter: Exporter, number: int, query: Mapping[str, str]) -> Page | Missing:
        fields = {**query, "page": str(number)} if number > 1 else query
        until = min(self._until, time.monotonic() + self._seconds)
        try:
            data = self._patiently(exporter.path(INCIDENTS), fields, until)
            found, more = read_answer(exporter.node, data)
        except ApiError as error:
            return Missing(exporter.node, _words(exporter, error), error.code in DENIED)
        return Page(exporter, number, found, more)

    def _patiently(self, path: str, fields: Mapping[str, str], until: float) -> bytes:
        """Ask again where the API server has too much to do, as long as there is time."""
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise ApiError("timed out")
            try:
                return self._api.body(path, fields, left)
            except ApiError as error:
                wait = BUSY_SECONDS if error.retry_after is None else error.retry_after
                if error.code != 429 or time.monotonic() + wait >= until:
                    raise
                time.sleep(wait)


def _node(answer: Page | Missing) -> str:
    return answer.node if isinstance(answer, Missing) else answer.exporter.node


def _words(exporter: Exporter, error: ApiError) -> str:
    if error.code == 403:
        return f"no right to get pods/proxy in namespace {exporter.namespace}"
    if error.code == 401:
        return (
            "its exporter demands a user (--web.config.file), which no proxy passes on: use "
            "kubectl port-forward and container-oomkill show --url --user"
        )
    if error.code == 421:
        return "its exporter answers to other names only: see --web.allowed-host"
    return str(error)
