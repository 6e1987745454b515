# SPDX-License-Identifier: Apache-2.0
"""Takes a request, gives the answer: /metrics, /healthz, /readyz, /api/v1/incidents, /.

Health is open to everybody; the rest asks for a user where users are configured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..sinks.exposition import page, wants_openmetrics
from ..sinks.history import History, parse_query
from .request import Request
from .response import HTML, JSON, Response, text

if TYPE_CHECKING:
    from ..incident import Incident
    from ..sinks.metrics import Metrics
    from .auth import BasicAuth
    from .server import Job

Handler = Callable[[Request], Response]

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
        render: Callable[[Incident], str],
        not_ready: Callable[[], str | None],
        version: str,
        telemetry_path: str = "/metrics",
        auth: BasicAuth | None = None,
    ) -> None:
        self._metrics = metrics
        self._history = history
        self._render = render
        self._not_ready = not_ready
        self._auth = auth
        self._open: dict[str, Handler] = {"/healthz": self._health, "/readyz": self._readiness}
        self._guarded: dict[str, Handler] = {
            telemetry_path: self._scrape,
            "/api/v1/incidents": self._incidents,
        }
        if telemetry_path != "/":
            landing = _landing(version, telemetry_path).encode()
            self._guarded["/"] = lambda _: Response(200, landing, [("Content-Type", HTML)])

    def __call__(self, request: Request) -> Response | Job:
        if request.method not in ("GET", "HEAD"):
            return text(405, "only GET and HEAD", [("Allow", "GET, HEAD")])
        if (health := self._open.get(request.path)) is not None:
            return health(request)
        auth = self._auth
        if auth is None:
            return self._answer(request)
        header = request.header("authorization")
        if auth.knows(header):
            return self._answer(request)
        if not header:
            return text(401, "who are you?", [CHALLENGE])
        return lambda: (
            self._answer(request)
            if auth.check(header)
            else text(401, "wrong user or password", [CHALLENGE])
        )

    def _answer(self, request: Request) -> Response:
        answer = self._guarded.get(request.path)
        return text(404, "not found") if answer is None else answer(request)

    def _health(self, _: Request) -> Response:
        return text(200, "ok")

    def _readiness(self, _: Request) -> Response:
        reason = self._not_ready()
        return text(200, "ready") if reason is None else text(503, f"not ready: {reason}")

    def _scrape(self, request: Request) -> Response:
        accept = request.header("accept")
        headers, pieces = page(
            self._metrics.families(created=wants_openmetrics(accept)),
            accept=accept,
            accept_encoding=request.header("accept-encoding"),
        )
        return Response(200, pieces, headers, heavy=request.method == "GET")

    def _incidents(self, request: Request) -> Response:
        import json

        headers = [("Content-Type", JSON)]
        try:
            query = parse_query(request.query, limit_max=INCIDENTS_MAX)
        except ValueError as error:
            return Response(400, json.dumps({"error": str(error)}).encode() + b"\n", headers)
        return Response(
            200,
            self._listing(self._history.find(query)),
            headers,
            heavy=request.method == "GET",
        )

    def _listing(self, incidents: list[Incident]) -> Iterator[bytes]:
        yield b'{"incidents": ['
        for start in range(0, len(incidents), INCIDENTS_A_PIECE):
            some = incidents[start : start + INCIDENTS_A_PIECE]
            lines = ",\n".join(self._render(incident).rstrip("\n") for incident in some)
            yield ((",\n" if start else "\n") + lines).encode()
        yield b"\n]}\n"


def _landing(version: str, telemetry_path: str) -> str:
    links = (
        (telemetry_path, "metrics", "for Prometheus"),
        ("/api/v1/incidents", "incidents", "the latest kills as JSON, newest first"),
        ("/healthz", "healthz", "the process lives"),
        ("/readyz", "readyz", "the kernel is being watched"),
    )
    items = "".join(
        f'<li><a href="{_escape(link)}">{_escape(name)}</a>: {_escape(what)}</li>\n'
        for link, name, what in links
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        "<title>container-oomkill</title></head>\n<body>\n<h1>container-oomkill</h1>\n"
        "<p>Every kill by the kernel's OOM killer, recorded from inside the kernel. "
        f"Version {_escape(version)}.</p>\n<ul>\n{items}</ul>\n</body>\n</html>\n"
    )


def _escape(value: str) -> str:
    """As html.escape does, which brings 2,000 entities with it."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        value = value.replace(char, entity)
    return value
