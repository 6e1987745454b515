# SPDX-License-Identifier: Apache-2.0
"""Where OTLP goes to and how: from our options, and from OpenTelemetry's own variables.

Imports nothing heavy: it is asked before attaching whether anything is to be sent at all. Of each
variable there is one for logs alone (OTEL_EXPORTER_OTLP_LOGS_...), which takes precedence over the
one for all signals; our options take precedence over both.
"""

from __future__ import annotations

import os

from ..errors import UsageError
from ..system.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Options(Protocol):
        """As the exporter's options have them."""

        @property
        def otlp_endpoint(self) -> str | None: ...
        @property
        def otlp_headers_file(self) -> str | None: ...
        @property
        def otlp_ca_file(self) -> str | None: ...
        @property
        def otlp_cert_file(self) -> str | None: ...
        @property
        def otlp_key_file(self) -> str | None: ...
        @property
        def otlp_compression(self) -> str | None: ...
        @property
        def otlp_timeout(self) -> float | None: ...
        @property
        def otlp_queue_size(self) -> int: ...


PREFIX, LOGS_PREFIX = "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_LOGS_"
PATH = "/v1/logs"
PROTOCOL = "http/json"
COMPRESSIONS = ("gzip", "none")
SECONDS = 10.0  # OpenTelemetry's own default
QUEUE_SIZE = 256
TRUE = "true"


class OtlpSettings(Settings):
    """``url``: of the request, its path included; ``where``: which option or variable it is of."""

    url: str
    where: str
    headers: str = ""  # NAME=VALUE,... of the variable
    headers_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    gzip: bool = True
    seconds: float = SECONDS
    queue_size: int = QUEUE_SIZE

    @classmethod
    def from_options(
        cls, args: Options, environ: Mapping[str, str] = os.environ
    ) -> OtlpSettings | None:
        """Return them, None if nothing is to be sent. Raises `UsageError`."""
        url, where = args.otlp_endpoint, "--otlp.endpoint"
        if url is None:
            if environ.get("OTEL_SDK_DISABLED", "").lower() == TRUE:
                return None
            if environ.get("OTEL_LOGS_EXPORTER", "") == "none":
                return None
            where = LOGS_PREFIX + "ENDPOINT"
            url = environ.get(where)
            if not url:
                where = PREFIX + "ENDPOINT"
                url = environ.get(where)
        if not url:
            _refuse_without(args)
            return None
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{where}: expected http://HOST:PORT or https://HOST:PORT")
        if where != LOGS_PREFIX + "ENDPOINT" and not url.endswith(PATH):
            url = url.rstrip("/") + PATH  # as the specification has it, of a base URL
        found = _Variables(environ)
        found.check_protocol()
        return cls(
            url=url,
            where=where,
            headers=found.get("HEADERS") or "",
            headers_file=args.otlp_headers_file,
            ca_file=args.otlp_ca_file or found.get("CERTIFICATE"),
            cert_file=args.otlp_cert_file or found.get("CLIENT_CERTIFICATE"),
            key_file=args.otlp_key_file or found.get("CLIENT_KEY"),
            gzip=(args.otlp_compression or found.compression() or COMPRESSIONS[0]) == "gzip",
            seconds=args.otlp_timeout or found.seconds() or SECONDS,
            queue_size=args.otlp_queue_size,
        )


class _Variables:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def _found(self, name: str) -> tuple[str, str] | None:
        """Return the variable and its value; an empty one is as if it were not there."""
        for variable in (LOGS_PREFIX + name, PREFIX + name):
            if value := self._environ.get(variable):
                return variable, value
        return None

    def get(self, name: str) -> str | None:
        found = self._found(name)
        return None if found is None else found[1]

    def check_protocol(self) -> None:
        found = self._found("PROTOCOL")
        if found is not None and found[1] != PROTOCOL:
            raise UsageError(
                f"{found[0]}={found[1]}: only {PROTOCOL} is sent: set {LOGS_PREFIX}PROTOCOL="
                f"{PROTOCOL}; a collector takes it where it takes http/protobuf, at port 4318"
            )

    def compression(self) -> str | None:
        found = self._found("COMPRESSION")
        if found is not None and found[1] not in COMPRESSIONS:
            raise UsageError(f"{found[0]}={found[1]}: expected {' or '.join(COMPRESSIONS)}")
        return None if found is None else found[1]

    def seconds(self) -> float | None:
        """Of milliseconds."""
        found = self._found("TIMEOUT")
        if found is None:
            return None
        if not (found[1].isascii() and found[1].isdecimal() and 0 < int(found[1]) <= 600_000):
            raise UsageError(f"{found[0]}={found[1]}: expected milliseconds, 1 to 600000")
        return int(found[1]) / 1000


def _refuse_without(args: Options) -> None:
    """An option that does nothing is a mistake."""
    for name in ("headers_file", "ca_file", "cert_file", "key_file", "compression", "timeout"):
        if getattr(args, f"otlp_{name}") is not None:
            raise UsageError(f"--otlp.{name.replace('_', '-')} needs --otlp.endpoint too")
