# SPDX-License-Identifier: Apache-2.0
"""Takes exporters and a query, gives the newest incidents of all, and which nodes are missing.

Each exporter gives its newest first, so a page is asked for only while it can have one that is
newer than the oldest of those kept: what is shown bounds what is fetched, not the cluster.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..errors import RecordError
from ..incident.model import Incident
from ..kubernetes.api import Api
from ..sinks.query import Query
from .answers import Found
from .asking import Asking, Missing, Page
from .exporters import Exporter

PAGE_LEAST, PAGE_MOST = 10, 250  # records
NODES_NAMED = 3
Wanted = Callable[[Found], bool]


@dataclass(slots=True)
class Gathered:
    """``found``: newest first; ``missing``: one for each node at most; ``nodes``: all there are."""

    found: list[Found]
    missing: list[Missing]
    nodes: int
    _incidents: list[Incident] | None = field(default=None)

    def incidents(self) -> list[Incident]:
        """Return them whole, in the order of ``found``.

        One that cannot be read goes from there, and its node is missing, with the reason.
        """
        if self._incidents is None:
            self._incidents, readable = [], []
            for each in self.found:
                try:
                    self._incidents.append(each.incident())
                except RecordError as error:
                    self._miss(Missing(each.node, f"unexpected record {each.id[:40]!r}: {error}"))
                else:
                    readable.append(each)
            self.found = readable
        return self._incidents

    def _miss(self, missing: Missing) -> None:
        if missing.node not in {each.node for each in self.missing}:
            self.missing.append(missing)

    def denied(self) -> bool:
        """Whether nobody answered, and for want of a right."""
        return len(self.missing) == self.nodes and all(each.denied for each in self.missing)

    def notes(self) -> Iterator[str]:
        """Yield a line for each reason: how many nodes of how many, and their names."""
        by_reason: dict[str, list[str]] = defaultdict(list)
        for each in self.missing:
            by_reason[each.why].append(each.node)
        for why, nodes in sorted(by_reason.items(), key=lambda item: -len(item[1])):
            names = ", ".join(sorted(nodes)[:NODES_NAMED])
            more = f" and {len(nodes) - NODES_NAMED} more" if len(nodes) > NODES_NAMED else ""
            yield f"missing: {len(nodes)} of {self.nodes} nodes ({names}{more}): {why}"


def gather(
    api: Api,
    exporters: Sequence[Exporter],
    query: Query,
    *,
    most: int,
    seconds: float,
    wanted: Wanted = lambda _: True,
) -> Gathered:
    """Return the newest ``most`` that match; ``seconds``: for one exporter.

    ``wanted``: what the query cannot say. Raises `Error` if a credential plugin does.
    """
    missing = [
        Missing(each.node, f"its exporter's pod is {each.phase}")
        for each in exporters
        if each.phase != "Running"
    ]
    running = [each for each in exporters if each.phase == "Running"]
    size = min(max(2 * most // max(len(running), 1), PAGE_LEAST), PAGE_MOST, most)
    fields = {**_absolute(query), "limit": str(size)}
    kept = _Newest(most)
    asking = Asking(api, seconds)
    round_: list[tuple[Exporter, int]] = [(each, 1) for each in running]
    while round_:
        pages: list[tuple[float, Page]] = []
        for answer in asking.pages(round_, fields):
            if isinstance(answer, Missing):
                missing.append(answer)
                continue
            oldest = min((each.time for each in answer.found), default=0.0)
            kept.add(filter(wanted, answer.found))
            pages.append((oldest, replace(answer, found=())))
        round_ = [
            (page.exporter, page.number + 1)
            for oldest, page in pages
            if page.more and kept.takes(oldest)
        ]
    known = {each.node for each in missing}
    missing += [
        Missing(each.node, "its exporter is not ready: it may not have seen every kill")
        for each in running
        if not each.ready and each.node not in known
    ]
    return Gathered(kept.newest_first(), missing, len(exporters))


def _absolute(query: Query) -> dict[str, str]:
    """Return what to ask for: times by our clock, whatever the nodes' clocks say."""
    asked = query.parameters()
    if query.after_time is not None:
        asked["since"] = f"{query.after_time:.6f}"
    if query.before_time is not None:
        asked["until"] = f"{query.before_time:.6f}"
    return asked


class _Newest:
    """The newest of those added; each once, though a page may have it again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[float, str, str]] = []
        self._found: dict[tuple[str, str], Found] = {}

    def add(self, found: Iterable[Found]) -> None:
        for each in found:
            if (each.node, each.id) in self._found or not self.takes(each.time):
                continue
            self._found[each.node, each.id] = each
            heapq.heappush(self._heap, (each.time, each.node, each.id))
            if len(self._heap) > self._most:
                _, node, name = heapq.heappop(self._heap)
                del self._found[node, name]

    def takes(self, time: float) -> bool:
        return len(self._heap) < self._most or time > self._heap[0][0]

    def newest_first(self) -> list[Found]:
        return sorted(self._found.values(), key=lambda each: (-each.time, each.node, each.id))
