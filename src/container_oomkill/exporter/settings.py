# SPDX-License-Identifier: Apache-2.0
"""The exporter's options and settings, checked as far as possible without touching a file.

Each option is defined once, beside its setting.
"""

from __future__ import annotations

from ..errors import UsageError
from ..system.settings import Settings
from ..units import UNIT_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, _ArgumentGroup
    from collections.abc import Mapping
    from typing import Any

LISTEN_ADDRESS = ":9262"
OWN_PATHS = (
    *("/healthz", "/readyz", "/api/v1/incidents", "/incidents", "/events"),
    *("/api/v1/kills", "/kills", "/why"),
)
OWN_FOLDERS = ("/incidents/", "/assets/", "/docs/")
TITLES = {  # of groups; else their first word
    "log": "incident log (standard output)",
    "otlp": "OpenTelemetry",
}
# Short enough to leave an Event's message room for the verdict.
EXTERNAL_URL = r"https?://(?=.{1,250}$)[^\s/?#@\"<>]+(/[^\s?#\"<>]*)?"


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
    number, unit = (text[:-1], UNIT_SECONDS[text[-1]]) if text[-1:] in UNIT_SECONDS else (text, 1)
    if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number)):
        raise ValueError(text)
    return float(int(number) * unit)


# argparse puts the names into its messages
_count.__name__ = "number from 1 to 1000000"
_history_bytes.__name__ = "number from 65536 to 1099511627776"
_duration.__name__ = "duration like 90s, 30m, 1h or 2d"


class _Option:
    """A setting's option: ``words`` of help, and ``how`` argparse reads it."""

    def __init__(self, name: str, default: object, words: str, **how: Any) -> None:
        self.name = name
        self.default = default
        self.how = {"help": words, **how}


def _option(name: str, default: object, words: str, **how: object) -> Any:
    return _Option(name, default, words, **how)


class ExporterSettings(Settings):
    """As the options have them; `from_options` takes what `options` added."""

    listen_addresses: tuple[str, ...] = _option(
        "--web.listen-address",
        (LISTEN_ADDRESS,),
        f"HOST:PORT, [IPV6]:PORT, :PORT or unix:/PATH; repeatable (default {LISTEN_ADDRESS})",
        action="append",
        metavar="ADDRESS",
    )
    telemetry_path: str = _option(
        "--web.telemetry-path",
        "/metrics",
        "path of the metrics (default /metrics)",
        metavar="PATH",
    )
    external_url: str | None = _option(
        "--web.external-url",
        None,
        "where people reach this exporter, for links in Events and alerts: https://HOST[:PORT][/PATH]",
        metavar="URL",
    )
    allowed_hosts: tuple[str, ...] = _option(
        "--web.allowed-host",
        (),
        "another name by which clients may ask for this exporter, beside addresses, names without "
        "a dot, the node's own and local ones; .DOMAIN for all below it, * for any; repeatable",
        action="append",
        metavar="NAME",
    )
    web_config_file: str | None = _option(
        "--web.config.file",
        None,
        "YAML with tls_server_config, basic_auth_users and http_server_config, as for other "
        "Prometheus exporters",
        metavar="FILE",
    )
    max_requests: int = _option(
        "--web.max-requests",
        8,
        "maximum concurrent scrapes; further ones wait for 5 s, then get 503",
        type=_count,
    )
    max_connections: int = _option(
        "--web.max-connections",
        128,
        "maximum connections; a new one evicts the one idle longest, of the client with most",
        type=_count,
    )
    max_incidents: int = _option(
        "--web.max-incidents",
        256,
        "incidents kept in memory for the pages and /api/v1/incidents, of one container an eighth, "
        "or 32",
        type=_count,
    )
    max_containers: int = _option(
        "--metrics.max-containers",
        500,
        "containers whose last kill is kept; the oldest are dropped",
        type=_count,
    )
    expiry_seconds: float = _option(
        "--metrics.expiry",
        3600.0,
        "how long the metrics of a last kill are kept: 90s, 30m, 1h, 2d (default 1h)",
        type=_duration,
        metavar="TIME",
    )
    log_incidents: str = _option(
        "--log.incidents",
        "text",
        "also write incidents to stdout (default text)",
        choices=("text", "json", "off"),
    )
    log_queue_size: int = _option(
        "--log.queue-size",
        1000,
        "incidents buffered for the log, and as many for the history file; overflow is dropped "
        "and counted",
        type=_count,
    )
    history: str | None = _option(
        "--history",
        None,
        "persist the latest --history.max-incidents incidents in this file, as JSON lines",
        metavar="FILE",
    )
    history_max_incidents: int = _option(
        "--history.max-incidents",
        256,
        "incidents kept in that file; the oldest of the container with most are dropped",
        type=_count,
    )
    history_max_bytes: int = _option(
        "--history.max-bytes",
        16 << 20,
        "maximum size of that file; the oldest incidents are dropped",
        type=_history_bytes,
    )

    otlp_endpoint: str | None = _option(
        "--otlp.endpoint",
        None,
        "send each incident as an OpenTelemetry log by OTLP/HTTP: http://HOST:4318 or https://, "
        "/v1/logs is added (default: $OTEL_EXPORTER_OTLP_LOGS_ENDPOINT or "
        "$OTEL_EXPORTER_OTLP_ENDPOINT)",
        metavar="URL",
    )
    otlp_headers_file: str | None = _option(
        "--otlp.headers-file",
        None,
        "headers of each request, NAME: VALUE a line, for example a token; read anew each time",
        metavar="FILE",
    )
    otlp_ca_file: str | None = _option(
        "--otlp.ca-file",
        None,
        "CA that signed the receiver's certificate, PEM (default: the system's CAs)",
        metavar="FILE",
    )
    otlp_cert_file: str | None = _option(
        "--otlp.cert-file", None, "client certificate, PEM", metavar="FILE"
    )
    otlp_key_file: str | None = _option(
        "--otlp.key-file",
        None,
        "private key of the client certificate, PEM, unencrypted",
        metavar="FILE",
    )
    otlp_compression: str | None = _option(
        "--otlp.compression",
        None,
        "of requests (default gzip)",
        choices=("gzip", "none"),
    )
    otlp_timeout: float | None = _option(
        "--otlp.timeout",
        None,
        "for one request, its answer included: 10s, 1m (default 10s)",
        type=_duration,
        metavar="TIME",
    )
    otlp_queue_size: int = _option(
        "--otlp.queue-size",
        256,
        "incidents that wait in memory while the receiver is down; with --history they wait in its "
        "file, as many as that keeps",
        type=_count,
    )

    webhook_config: str | None = _option(
        "--webhook.config",
        None,
        "YAML with webhooks that are told of incidents: a chat, a pager, an Alertmanager",
        metavar="FILE",
    )

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> ExporterSettings:
        """Return the settings that are ``given`` by name, as `options` reads them.

        Raises `UsageError` for options that do not go together.
        """
        values = {name: given[name] for name in OPTIONS}
        values["listen_addresses"] = tuple(values["listen_addresses"] or (LISTEN_ADDRESS,))
        values["allowed_hosts"] = tuple(values["allowed_hosts"] or ())
        settings = cls(**values)
        settings.check()
        return settings

    def check(self) -> None:
        """Raise `UsageError` for what is wrong without touching a file."""
        path = self.telemetry_path
        if not path.startswith("/") or any(char in path for char in "?#% ") or ".." in path:
            raise UsageError(f"--web.telemetry-path {path}: expected a plain path like /metrics")
        if path in OWN_PATHS or path.startswith(OWN_FOLDERS):
            raise UsageError(f"--web.telemetry-path: {path} is already used by another endpoint")
        if self.external_url is not None:
            import re

            if not re.fullmatch(EXTERNAL_URL, self.external_url, re.ASCII):
                raise UsageError(
                    f"--web.external-url {self.external_url}: expected http:// or https://, "
                    "a host, maybe a port and a path"
                )


OPTIONS = {n: each for n, each in vars(ExporterSettings).items() if isinstance(each, _Option)}
for _name, _each in OPTIONS.items():  # what stands there is the default from here on
    setattr(ExporterSettings, _name, _each.default)


def options(parser: ArgumentParser) -> None:
    """Add the exporter's options, a group for each first word."""
    groups: dict[str, _ArgumentGroup] = {}
    for setting, each in OPTIONS.items():
        how = dict(each.how)
        if isinstance(each.default, int):
            how |= {"metavar": "N", "help": f"{how['help']} (default {each.default})"}
        # One that is repeatable has what is given instead of its default, not beside it.
        default = None if "action" in how else each.default
        subject = each.name.removeprefix("--").partition(".")[0]
        if subject not in groups:
            groups[subject] = parser.add_argument_group(TITLES.get(subject, subject))
        groups[subject].add_argument(each.name, dest=setting, default=default, **how)
