# SPDX-License-Identifier: Apache-2.0
"""Answers requests for pages: overview, one incident, the stream of changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import htpy as h

from ...metrics.exposition import gzip, gzip_accepted
from ...sinks.names import container_key
from ...sinks.query import TEXT_MAX
from ..http.request import Request
from ..http.response import EVENTS, HTML, JSON, Response, text
from .assets import Assets
from .docs import docs, read
from .filters import Filter, parse_page
from .kills import Kills
from .layout import PageContext, problem
from .other_kills import kills_page
from .other_kills import section as kills_section
from .overview import overview
from .stuck import section as stuck_section
from .stuck import stuck_page

if TYPE_CHECKING:
    from htpy import Element

    from ...history.history import History
    from ...history.kills import KillHistory
    from ...history.stuck import StuckHistory
    from ...incident.model import Incident
    from ...metrics.table import Facts
    from ...sinks.ends import Record

T = TypeVar("T")

INCIDENTS = "/incidents/"
DOCS = "/docs/"
PIECE = 16384  # characters
STREAM_SECONDS = 300.0
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("style", "script", "img", "connect")),
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


class Views:
    """``render``: an incident as JSON; ``not_ready``: why nothing is recorded, or None."""

    def __init__(
        self,
        *,
        history: History,
        kills: KillHistory,
        stuck: StuckHistory,
        facts: Callable[[], Facts],
        render: Callable[[Incident], str],
        not_ready: Callable[[], str | None],
        node: str,
        home: str,
        telemetry_path: str,
        watched_since: float,
        wall: Callable[[], float],
    ) -> None:
        self._history = history
        self._kills = kills
        self._stuck = stuck
        self._facts = facts
        self._render = render
        self._not_ready = not_ready
        self._node = node
        self._home = home
        self._telemetry_path = telemetry_path
        self._watched_since = watched_since
        self._wall = wall
        self.assets = Assets()

    def overview(self, request: Request) -> Response:
        try:
            wanted = Filter.parse(request.query, self._wall())
            number = parse_page(request.query)
        except ValueError as error:
            return self._page(request, 400, problem(400, str(error), self._around()))
        incidents, dropped = self._history.newest_first(), self._history.dropped()
        around = self._around()
        beside = h.div(
            "#other-records", data_live=True
        )[  # there without content, for what will come
            stuck_section(self._stuck.newest_first(), wanted, around),
            kills_section(self._kills.newest_first(), wanted, around),
        ]
        shown = overview(incidents, dropped, wanted, number, around, beside)
        return self._page(request, 200, shown)

    def kills(self, request: Request) -> Response:
        """/kills: those of others than the OOM killer."""
        return self._listed(request, kills_page, self._kills.newest_first)

    def stuck(self, request: Request) -> Response:
        """/stuck: out of memory without a kill."""
        return self._listed(request, stuck_page, self._stuck.newest_first)

    def _listed(
        self,
        request: Request,
        page: Callable[[Sequence[T], Filter, int, PageContext], Element],
        newest_first: Callable[[], Sequence[T]],
    ) -> Response:
        try:
            wanted = Filter.parse(request.query, self._wall())
            number = parse_page(request.query)
        except ValueError as error:
            return self._page(request, 400, problem(400, str(error), self._around()))
        return self._page(request, 200, page(newest_first(), wanted, number, self._around()))

    def why(self, request: Request) -> Response:
        """/why?container=NAME: how it last ended."""
        from .why import why

        wanted = request.query.get("container", "")[:TEXT_MAX]
        records: list[Record] = [
            *self._history.newest_first(),
            *self._kills.newest_first(),
            *self._stuck.newest_first(),
        ]
        return self._page(request, 200, why(records, wanted, self._around()))

    def incident(self, request: Request) -> Response:
        """/incidents/ID, and /incidents/ID.json: its record."""
        from .detail import detail  # the overview, which most look at, has no use for it

        wanted = request.path.removeprefix(INCIDENTS)
        id_ = wanted.removesuffix(".json")
        incidents = self._history.newest_first()
        found = next((each for each in incidents if each.id == id_), None)
        if found is None:
            words = "No such incident; only the latest are kept."
            if wanted != id_:
                return text(404, words)
            return self._page(request, 404, problem(404, words, self._around()))
        record = self._render(found)
        if wanted != id_:
            return Response(200, record.rstrip("\n").encode() + b"\n", [("Content-Type", JSON)])
        key = container_key(found)
        its = [each for each in incidents if container_key(each) == key]
        kills = Kills(its, self._history.dropped().get(key))
        return self._page(request, 200, detail(found, record, kills, self._around()))

    def docs(self, request: Request) -> Response:
        found = read(request.path.removeprefix(DOCS))
        if found is None:
            return text(404, "not found")
        return self._page(request, 200, docs(found, self._around()))

    def events(self, request: Request) -> Response:
        """Say that there is a new incident, whenever there is one, and nothing more of it."""
        seen = request.header("last-event-id") or request.query.get("after", self._newest())
        return Response(
            200,
            _news(self._newest, seen),
            [("Content-Type", EVENTS), ("X-Accel-Buffering", "no")],
            stream=request.method == "GET",
        )

    def _newest(self) -> str:
        newest = self._history.newest()
        return newest.id if newest else ""

    def _around(self) -> PageContext:
        return PageContext(
            home=self._home,
            telemetry_path=self._telemetry_path,
            style=self.assets.path("page.css"),
            script=self.assets.path("page.js"),
            icon=self.assets.path("icon.svg"),
            node=self._node,
            facts=self._facts(),
            not_ready=self._not_ready(),
            watched_since=self._watched_since,
            kept_since=self._history.kept_since(),
            now=self._wall(),
            newest=self._newest(),
        )

    def _page(self, request: Request, status: int, page: Element) -> Response:
        headers = [
            ("Content-Type", HTML),
            ("Content-Security-Policy", POLICY),
            ("Vary", "Accept-Encoding"),
        ]
        pieces = _pieces(page)
        if gzip_accepted(request.header("accept-encoding")):
            headers.append(("Content-Encoding", "gzip"))
            pieces = gzip(pieces)
        return Response(status, pieces, headers)


def _pieces(page: Element) -> Iterator[bytes]:
    """Put the page's many small chunks together to what is worth a write."""
    chunks: list[str] = []
    size = 0
    for chunk in page.iter_chunks():
        chunks.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield "".join(chunks).encode("utf-8", "replace")
            chunks, size = [], 0
    yield "".join(chunks).encode("utf-8", "replace")


def _news(newest: Callable[[], str], seen: str) -> Iterator[bytes | None]:
    """Give server-sent events; None: nothing new for now.

    For a while: whoever reads them then comes again, and says what it has seen. Nothing else tells
    it from one that does not read, before the kernel has taken some megabytes for it.
    """
    end = time.monotonic() + STREAM_SECONDS
    yield b"retry: 2000\n\n"
    while time.monotonic() < end:
        if (latest := newest()) == seen:
            yield None
            if newest() == seen:
                yield b": nothing new\n\n"
        else:
            seen = latest
            yield f"id: {latest}\nevent: incident\ndata: {latest}\n\n".encode()
