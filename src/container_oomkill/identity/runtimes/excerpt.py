# SPDX-License-Identifier: Apache-2.0
"""Takes a large JSON object, gives a few of its values; the rest is passed over.

A container's environment may be most of its state file: as large as execve() takes, 2 MiB by
default. What counts here is a few names beside it.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Keys = Mapping[str, "Keys | None"]  # None: the whole value

TOKENS_MAX = 100_000  # strings and brackets: some 50 ms
VALUE_MAX = 1 << 18  # bytes of one value
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TOKEN = re.compile(rb'["{}\[\]]')
_COLON = re.compile(rb"\s*:\s*")
_PLAIN = re.compile(rb"[^,}\]\s]*")


class TooBigError(Exception):
    """It has too many parts, or a value that is wanted is too large."""


def excerpt(data: bytes, keys: Keys) -> dict[str, Any]:
    """Return the object in ``data`` with ``keys`` alone. `ValueError`: not JSON; `TooBigError`."""
    return _Reader(data).read(0, keys)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = TOKENS_MAX

    def read(self, at: int, keys: Keys) -> dict[str, Any]:
        """Return ``keys`` of the object that is next after ``at``."""
        found: dict[str, Any] = {}
        at, kind = self._next(at)
        if kind != b"{":
            raise ValueError("no object")
        while True:
            at, kind = self._next(at)
            if kind == b"}":
                return found
            colon = _COLON.match(self._data, at)
            if kind[:1] != b'"' or colon is None:
                raise ValueError("no key")
            start = colon.end()
            at = self._value(start)
            key = str(json.loads(kind)) if len(kind) < VALUE_MAX else ""
            if key not in keys:
                continue
            below = keys[key]
            if below is not None and self._data[start : start + 1] == b"{":
                found[key] = self.read(start, below)
            elif at - start > VALUE_MAX:
                raise TooBigError
            else:
                found[key] = json.loads(self._data[start:at])

    def _next(self, at: int) -> tuple[int, bytes]:
        """Return where the next string or bracket ends, and it."""
        self._left -= 1
        if self._left < 0:
            raise TooBigError
        token = _TOKEN.search(self._data, at)
        if token is not None and token[0] == b'"':
            token = _STRING.match(self._data, token.start())
        if token is None:
            raise ValueError("no end")
        return token.end(), token[0]

    def _value(self, at: int) -> int:
        """Return where the value that starts at ``at`` ends."""
        if self._data[at : at + 1] not in (b'"', b"{", b"["):
            plain = _PLAIN.match(self._data, at)
            return plain.end() if plain else at
        depth = 0
        while True:
            at, kind = self._next(at)
            depth += (kind in (b"{", b"[")) - (kind in (b"}", b"]"))
            if depth <= 0:
                return at
