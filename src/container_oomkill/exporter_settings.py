# SPDX-License-Identifier: Apache-2.0
"""Takes the exporter's options, gives its settings, checked as far as no file needs be touched."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from .errors import UsageError

LISTEN_ADDRESS = ":9262"
OWN_PATHS = ("/healthz", "/readyz", "/api/v1/incidents", "/incidents", "/events")
OWN_FOLDERS = ("/incidents/", "/assets/", "/docs/")
HISTORY_MAX_BYTES = 16 << 20
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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
    log_queue: int = 1000
    history: str | None = None
    history_max_bytes: int = HISTORY_MAX_BYTES

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
            log_queue=args.log_queue,
            history=args.history,
            history_max_bytes=args.history_max_bytes,
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Raise `UsageError` for what can be told without touching a file."""
        path = self.telemetry_path
        if not path.startswith("/") or any(char in path for char in "?#% ") or ".." in path:
            raise UsageError(f"--web.telemetry-path {path}: expected a plain path like /metrics")
        if path in OWN_PATHS or path.startswith(OWN_FOLDERS):
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
        ("--web.max-incidents", 256, "incidents kept, for the pages and /api/v1/incidents"),
        ("--log-queue", 1000, "incidents waiting for the log; one more is lost to it, and counted"),
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
    parser.add_argument(
        "--history",
        metavar="FILE",
        help="keep the incidents of --web.max-incidents across restarts, in this SQLite file",
    )
    parser.add_argument(
        "--history.max-bytes",
        dest="history_max_bytes",
        type=_history_bytes,
        default=HISTORY_MAX_BYTES,
        metavar="N",
        help=f"largest size of that file; the oldest incidents go (default {HISTORY_MAX_BYTES})",
    )
    parser.add_argument(
        "--retry-attach",
        action="store_true",
        help="where no hook can be attached: stay, not ready, and try again (default: exit 3)",
    )


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise ValueError(text)
    return number


def _history_bytes(text: str) -> int:
    number = int(text)
    if not 1 << 16 <= number <= 1 << 40:
        raise ValueError(text)
    return number


def _duration(text: str) -> float:
    number, unit = (text[:-1], UNITS[text[-1]]) if text[-1:] in UNITS else (text, 1)
    if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number)):
        raise ValueError(text)
    return float(int(number) * unit)


# argparse puts the names into its messages
_count.__name__ = "number from 1 to 1000000"
_history_bytes.__name__ = "number from 65536 to 1099511627776"
_duration.__name__ = "time like 90s, 30m, 1h, 2d"
