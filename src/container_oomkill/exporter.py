# SPDX-License-Identifier: Apache-2.0
"""Takes incidents and the probe's status, gives the exporter: metrics, history, web, systemd.

Nothing heavy is imported before `Exporter` is made: attaching comes first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import Error, UsageError
from .host import read_kernel_kills

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from .incident import Incident
    from .notify import Notifier
    from .sinks.metrics import ProbeStatus
    from .web.listen import Address

LISTEN_ADDRESS = ":9262"
OWN_PATHS = ("/healthz", "/readyz", "/api/v1/incidents")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BEAT_SECONDS = 5.0  # the reader of the ring gives a sign of life at least this often
SILENT_SECONDS = 3 * BEAT_SECONDS


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """As the options have them; `from_args` reads them from what `options` added."""

    listen_addresses: tuple[str, ...] = (LISTEN_ADDRESS,)
    telemetry_path: str = "/metrics"
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    tls_client_ca_file: str | None = None
    basic_auth_file: str | None = None
    max_requests: int = 8
    max_connections: int = 128
    max_incidents: int = 256
    expiry_seconds: float = 3600.0
    max_containers: int = 500
    log_incidents: str = "text"

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> ExporterSettings:
        """Raises `UsageError` for options that do not go together."""
        settings = cls(
            listen_addresses=tuple(args.web_listen_address or (LISTEN_ADDRESS,)),
            telemetry_path=args.web_telemetry_path,
            tls_cert_file=args.web_tls_cert_file,
            tls_key_file=args.web_tls_key_file,
            tls_client_ca_file=args.web_tls_client_ca_file,
            basic_auth_file=args.web_basic_auth_file,
            max_requests=args.web_max_requests,
            max_connections=args.web_max_connections,
            max_incidents=args.web_max_incidents,
            expiry_seconds=args.metrics_expiry,
            max_containers=args.metrics_max_containers,
            log_incidents=args.log_incidents,
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Raise `UsageError` for what can be told without touching a file."""
        path = self.telemetry_path
        if not path.startswith("/") or any(char in path for char in "?#% ") or ".." in path:
            raise UsageError(f"--web.telemetry-path {path}: expected a plain path like /metrics")
        if path in OWN_PATHS:
            raise UsageError(f"--web.telemetry-path {path}: is taken")
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            given, missing = ("cert", "key") if self.tls_cert_file else ("key", "cert")
            raise UsageError(f"--web.tls-{given}-file needs --web.tls-{missing}-file too")
        if self.tls_client_ca_file and not self.tls_cert_file:
            raise UsageError("--web.tls-client-ca-file needs --web.tls-cert-file too")


def options(parser: argparse.ArgumentParser) -> None:
    """Add the exporter's options."""
    web = parser.add_argument_group("web")
    web.add_argument(
        "--web.listen-address",
        dest="web_listen_address",
        action="append",
        metavar="ADDRESS",
        help=f"HOST:PORT, [IPV6]:PORT, :PORT or unix:/PATH; repeatable (default {LISTEN_ADDRESS})",
    )
    web.add_argument(
        "--web.telemetry-path",
        dest="web_telemetry_path",
        default="/metrics",
        metavar="PATH",
        help="where the metrics are (default /metrics)",
    )
    for name, what in (
        ("tls-cert-file", "certificate chain, PEM; serves HTTPS only"),
        ("tls-key-file", "its private key, PEM, without a password"),
        ("tls-client-ca-file", "only clients with a certificate of this CA, PEM"),
        ("basic-auth-file", "users, NAME:HASH a line (python -m container_oomkill.web.auth NAME)"),
    ):
        web.add_argument(
            f"--web.{name}", dest="web_" + name.replace("-", "_"), metavar="FILE", help=what
        )
    for option, default, what in (
        ("--web.max-requests", 8, "scrapes at once; one more gets 503"),
        ("--web.max-connections", 128, "clients at once; for one more the longest idle one goes"),
        ("--web.max-incidents", 256, "incidents kept for /api/v1/incidents"),
        ("--metrics.max-containers", 500, "containers whose last kill is kept; the oldest go"),
    ):
        parser.add_argument(
            option,
            dest=option[2:].replace(".", "_").replace("-", "_"),
            type=_count,
            default=default,
            metavar="N",
            help=f"{what} (default {default})",
        )
    parser.add_argument(
        "--metrics.expiry",
        dest="metrics_expiry",
        type=_duration,
        default=3600.0,
        metavar="TIME",
        help="how long the last kill is shown: 90s, 30m, 1h, 2d (default 1h)",
    )
    parser.add_argument(
        "--log-incidents",
        choices=("text", "json", "off"),
        default="text",
        help="write each incident to stdout as well (default text)",
    )


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise ValueError(text)
    return number


def _duration(text: str) -> float:
    number, unit = (text[:-1], UNITS[text[-1]]) if text[-1:] in UNITS else (text, 1)
    if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number)):
        raise ValueError(text)
    return float(int(number) * unit)


# argparse puts the names into its messages
_count.__name__ = "number from 1 to 1000000"
_duration.__name__ = "time like 90s, 30m, 1h, 2d"


class Exporter:
    """Made once the probe is attached; `start` binds, then `sink` takes every incident."""

    def __init__(
        self,
        settings: ExporterSettings,
        status: ProbeStatus,
        *,
        version: str,
        render: Callable[[Incident], str],
        kernel_kills: Callable[[], int | None] = read_kernel_kills,
        kernel_kills_before: int | None = None,
        notifier: Notifier | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``render``: an incident as one JSON object.

        ``kernel_kills_before``: what ``kernel_kills`` gave right before attaching.
        """
        from .notify import Notifier
        from .sinks.history import History
        from .sinks.metrics import Metrics

        self.settings = settings
        self._status = status
        self._version = version
        self._render = render
        self._notifier = notifier or Notifier()
        self._monotonic = monotonic
        self._reading = False
        self._announced = False
        self._beat_at = monotonic()
        self.beat_seconds = min(BEAT_SECONDS, self._notifier.watchdog_seconds or BEAT_SECONDS)
        self.metrics = Metrics(
            status,
            version=version,
            expiry_seconds=settings.expiry_seconds,
            max_containers=settings.max_containers,
            kernel_kills=kernel_kills,
            kernel_kills_before=kernel_kills_before,
        )
        self.history = History(settings.max_incidents)
        self._close: Callable[[], None] = lambda: None
        self._failure: Callable[[], BaseException | None] = lambda: None
        self.addresses: list[Address] = []  # that are bound

    def sink(self, incident: Incident) -> None:
        """Take an incident: it is on /metrics and /api/v1/incidents when this returns."""
        self.metrics(incident)
        self.history(incident)

    def start(self) -> None:
        """Bind every address and serve. Raises `UsageError` for what the user can mend."""
        from .web.listen import Listener, parse_address
        from .web.routes import Routes
        from .web.server import Limits, Server

        settings = self.settings
        settings.check()
        tls = None
        if settings.tls_cert_file and settings.tls_key_file:
            from .web.tls import Tls

            tls = Tls(
                cert=settings.tls_cert_file,
                key=settings.tls_key_file,
                client_ca=settings.tls_client_ca_file,
            )
        auth = None
        if settings.basic_auth_file:
            from .web.auth import BasicAuth

            auth = BasicAuth.load(settings.basic_auth_file)
        routes = Routes(
            metrics=self.metrics,
            history=self.history,
            render=self._render,
            not_ready=self.not_ready,
            version=self._version,
            telemetry_path=settings.telemetry_path,
            auth=auth,
        )
        # The environment's way to give several: with commas.
        texts = [text for each in settings.listen_addresses for text in each.split(",")]
        listeners: list[Listener] = []
        try:
            for address in [parse_address(text.strip()) for text in texts]:
                listeners.append(Listener(address))  # noqa: PERF401 - to be closed one by one
        except UsageError:
            for listener in listeners:
                listener.close()
            raise
        limits = Limits(connections=settings.max_connections, heavy=settings.max_requests)
        server = Server(listeners, routes, tls=tls, limits=limits)
        self.addresses = [listener.bound for listener in listeners]
        self._close = server.close
        self._failure = lambda: server.failure
        server.start()

    def ready(self, reading: bool) -> None:
        """Say that the ring is being read from now on, or no longer."""
        self._reading = reading
        self.beat()
        if reading and not self._announced:
            self._announced = True
            self._notifier.ready(f"watching the OOM killer by {self._status.hook}")

    def beat(self) -> None:
        """Give a sign of life: to be called by the reader of the ring every ``beat_seconds``.

        Raises `Error` if the web server has died: an answering one always means a live probe, and
        the other way round.
        """
        self._beat_at = self._monotonic()
        if (failure := self._failure()) is not None:
            raise Error(f"web server stopped: {type(failure).__name__}: {failure}")
        self._notifier.alive()

    def not_ready(self) -> str | None:
        """Return why /readyz is not 200, None if it is."""
        if not self._status.attached:
            return "the hooks are not attached"
        if not self._reading or self._monotonic() - self._beat_at > SILENT_SECONDS:
            return "the ring buffer is not being read"
        return None

    def close(self) -> None:
        """Stop serving; may be called again."""
        if self._announced:
            self._announced = False
            self._notifier.stopping()
        self._reading = False
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
