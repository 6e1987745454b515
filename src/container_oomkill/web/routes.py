# SPDX-License-Identifier: Apache-2.0
"""Answers a request: metrics, health, incidents as JSON, and the pages.

Health is open to everybody; everything else needs authentication where users are configured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from ..history.history import History
from ..history.kills import KillHistory
from ..history.stuck import StuckHistory
from ..metrics.exposition import gzip_accepted, page
from ..metrics.kept_pages import KeptPages
from .http.request import Request
from .http.response import JSON, Response, Shared, text

if TYPE_CHECKING:
    from ..incident.model import Incident
    from ..killers.model import Kill
    from ..metrics.metrics import Metrics
    from ..sinks.query import Query
    from ..stuck.model import Stuck
    from .http.auth import BasicAuth
    from .http.server import Answer, Job
    from .page.views import Views

T = TypeVar("T")
Handler = Callable[[Request], "Answer"]

API = "/api/v1/incidents"
KILLS_API = "/api/v1/kills"
STUCK_API = "/api/v1/stuck"
OVERVIEW = "/"
OVERVIEW_TOO = "/incidents"  # and where to find it when the metrics are at /
MISDIRECTED = "this exporter is not known by that name: see --web.allowed-host"
INCIDENTS_MAX = 1000
INCIDENTS_A_PIECE = 16
CHALLENGE = ("WWW-Authenticate", 'Basic realm="container-oomkill", charset="UTF-8"')


class Routes:
    """The site. ``render``: an incident as one JSON object; ``not_ready``: why, or None."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        history: History,
        kills: KillHistory,
        stuck: StuckHistory,
        render: Callable[[Incident], str],
        not_ready: Callable[[], str | None],
        node: str,
        watched_since: float,
        wall: Callable[[], float],
        telemetry_path: str = "/metrics",
        auth: Callable[[], BasicAuth | None] = lambda: None,
        knows_host: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """``watched_since``: when the first kill could be seen, seconds since the epoch.

        ``auth``: who may read, as it is now; None: everybody. ``knows_host``: of a Host header,
        where everybody may read: a web site that calls itself by our address may not.
        """
        self._knows_host = knows_host
        self._metrics = metrics
        self._pages = KeptPages(metrics)
        self._history = history
        self._kills = kills
        self._stuck = stuck
        self._render = render
        self._not_ready = not_ready
        self._node = node
        self._watched_since = watched_since
        self._wall = wall
        self._telemetry_path = telemetry_path
        self._auth = auth
        self._open: dict[str, Handler] = {"/healthz": self._health, "/readyz": self._readiness}
        self._guarded: dict[str, Handler] = {
            OVERVIEW: lambda request: self._views.overview(request),
            OVERVIEW_TOO: lambda request: self._views.overview(request),
            "/events": lambda request: self._views.events(request),
            API: self._incidents,
            KILLS_API: self._other_kills,
            STUCK_API: self._out_of_memory,
            "/kills": lambda request: self._views.kills(request),
            "/stuck": lambda request: self._views.stuck(request),
            "/why": lambda request: self._views.why(request),
            telemetry_path: self._scrape,
        }
        self._below: dict[str, Handler] = {
            "/incidents/": lambda request: self._views.incident(request),
            "/docs/": lambda request: self._views.docs(request),
            "/assets/": lambda request: self._views.assets(request),
        }

    def __call__(self, request: Request) -> Answer | Job:
        if request.method not in ("GET", "HEAD"):
            return text(405, "only GET and HEAD are allowed", [("Allow", "GET, HEAD")])
        if (health := self._open.get(request.path)) is not None:
            return health(request)
        auth = self._auth()
        if auth is None:
            if not self._knows_host(request.header("host")):
                return text(421, MISDIRECTED)
            return self._answer(request)
        header = request.header("authorization")
        if auth.knows(header):
            return self._answer(request)
        if not header:
            return text(401, "authentication required", [CHALLENGE])
        return lambda: (
            self._answer(request)
            if auth.check(header)
            else text(401, "wrong user or password", [CHALLENGE])
        )

    def _answer(self, request: Request) -> Answer:
        answer = self._guarded.get(request.path)
        if answer is None:
            folder = request.path[: request.path.find("/", 1) + 1]
            answer = self._below.get(folder)
        return text(404, "not found") if answer is None else answer(request)

    @cached_property
    def _views(self) -> Views:
        """The pages; imported, with what they are made with, when the first is asked for."""
        from .page.views import Views

        telemetry_path = self._telemetry_path
        return Views(
            history=self._history,
            kills=self._kills,
            stuck=self._stuck,
            facts=self._metrics.facts,
            render=self._render,
            not_ready=self._not_ready,
            node=self._node,
            home=OVERVIEW if telemetry_path != OVERVIEW else OVERVIEW_TOO,
            telemetry_path=telemetry_path,
            watched_since=self._watched_since,
            wall=self._wall,
        )

    def _health(self, _: Request) -> Response:
        return text(200, "ok")

    def _readiness(self, _: Request) -> Response:
        reason = self._not_ready()
        return text(200, "ready") if reason is None else text(503, f"not ready: {reason}")

    def _scrape(self, request: Request) -> Shared:
        accept, coding = request.header("accept"), request.header("accept-encoding")
        headers, _ = page((), accept=accept, accept_encoding=coding)
        content_type = dict(headers)["Content-Type"]
        packed = gzip_accepted(coding)
        return Shared(content_type, lambda: self._pages.packed(accept), headers, packed=packed)

    def _incidents(self, request: Request) -> Response:
        def matching(query: Query) -> list[Incident]:
            return list(query.matching(self._history.newest_first()))

        return self._list(request, API, "incidents", matching, self._render)

    def _other_kills(self, request: Request) -> Response:
        from ..sinks.kill_query import matching_kills
        from ..sinks.kill_record import render_kill

        def matching(query: Query) -> list[Kill]:
            return list(matching_kills(query, self._kills.newest_first()))

        return self._list(request, KILLS_API, "kills", matching, render_kill)

    def _out_of_memory(self, request: Request) -> Response:
        from ..sinks.stuck_query import matching_stuck
        from ..sinks.stuck_record import render_stuck

        def matching(query: Query) -> list[Stuck]:
            return list(matching_stuck(query, self._stuck.newest_first()))

        return self._list(request, STUCK_API, "stuck", matching, render_stuck)

    def _list(
        self,
        request: Request,
        path: str,
        what: str,
        matching: Callable[[Query], list[T]],
        render: Callable[[T], str],
    ) -> Response:
        import json

        from ..sinks.query import parse_query

        headers = [("Content-Type", JSON)]
        try:
            query = parse_query(request.query, limit_max=INCIDENTS_MAX, now=self._wall())
        except ValueError as error:
            return Response(400, json.dumps({"error": str(error)}).encode() + b"\n", headers)
        found = matching(query)
        first = (query.page - 1) * query.limit
        shown = found[first : first + query.limit]
        more = len(found) > first + query.limit
        about = {"total": len(found), "next": query.link(path, query.page + 1) if more else None}
        return Response(
            200,
            _listing(what, shown, render, json.dumps(about)[1:]),
            headers,
            heavy=request.method == "GET",
        )


def _listing(what: str, records: list[T], render: Callable[[T], str], end: str) -> Iterator[bytes]:
    yield f'{{"{what}": ['.encode()
    for start in range(0, len(records), INCIDENTS_A_PIECE):
        some = records[start : start + INCIDENTS_A_PIECE]
        lines = ",\n".join(render(record).rstrip("\n") for record in some)
        yield ((",\n" if start else "\n") + lines).encode()
    yield f"\n], {end}\n".encode()
