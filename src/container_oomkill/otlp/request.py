# SPDX-License-Identifier: Apache-2.0
"""Records as the body of a request to /v1/logs, and what a 200 says of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

from ..sending.client import Answer
from .resource import SCHEMA_URL, SERVICE

MEDIA = "application/json"


class Request:
    """Makes requests for one resource; ``gzip``: whether to compress them."""

    def __init__(self, resource: dict[str, Any], *, version: str, gzip: bool) -> None:
        scope = {"name": SERVICE, "version": version}
        head = {"resource": resource, "schemaUrl": SCHEMA_URL}
        self._head = json.dumps(head, separators=(",", ":")).removesuffix("}")
        self._scope = json.dumps(scope, separators=(",", ":"))
        self._gzip = gzip

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": MEDIA} | ({"Content-Encoding": "gzip"} if self._gzip else {})

    def body(self, records: Sequence[bytes]) -> bytes:
        """Return ExportLogsServiceRequest; ``records``: each a LogRecord, encoded."""
        before = (
            f'{{"resourceLogs":[{self._head},"scopeLogs":[{{"scope":{self._scope},"logRecords":['
        )
        whole = before.encode() + b",".join(records) + b"]}]}]}"
        if not self._gzip:
            return whole
        packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # with gzip's header
        return packer.compress(whole) + packer.flush()


class NotOtlpError(Exception):
    """What answered 200 is no receiver of OTLP; the text is one line."""


def rejected(answer: Answer) -> tuple[int, str]:
    """Return how many records the receiver did not take, and why. Raises `NotOtlpError`.

    An empty body is taken for an empty message: some proxies drop `{}`.
    """
    if not answer.body.strip():
        return 0, ""
    try:
        said = json.loads(answer.body)
        partial = said.get("partialSuccess") or {}
        # int64 is text in the JSON form; some receivers send a number.
        return max(0, int(partial.get("rejectedLogRecords") or 0)), str(
            partial.get("errorMessage") or ""
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise NotOtlpError(
            f"{answer.status}, but what answers is no OTLP receiver: is this its endpoint?"
        ) from None
