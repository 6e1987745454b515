# SPDX-License-Identifier: Apache-2.0
"""Changes a value of a JSON text, so that what comes of it is JSON still, mostly."""

from __future__ import annotations

import json
import math
import random
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 64, -(1 << 63)),
    *(1e18, 1e308, math.inf, -math.inf, math.nan, 10**400, [], {}, [[]], {"": None}),
    *("", "app", "\x1b[31m", "\u202e", "\ud800", "\0", "a: b; 7 %", "é" * 9, "x" * 300, "漢" * 80),
    *("<b>&amp;</b>", "/", "..", "/docker/" + "ab" * 32, "2026-01-01T00:00:00Z", "ab" * 32),
)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Return another text: a value changed, or, one time in four, some bytes.

    A custom mutator of libFuzzer's; with one, it makes no changes of its own.
    """
    chance = random.Random(seed)
    if chance.randrange(4):
        lines = data.split(b"\n")
        at = chance.randrange(len(lines))
        try:
            lines[at] = _changed(lines[at], chance)
        except (ValueError, RecursionError):
            return _other_bytes(data, chance)[:max_size]
        made = b"\n".join(lines)
        if len(made) <= max_size:
            return made
    return _other_bytes(data, chance)[:max_size]


def _other_bytes(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((0, 1, 2, 16, 256)))
    other = chance.choice((b"", data[start:end] * 2, chance.randbytes(1), b"\n", b"\xff", b'"'))
    return data[:start] + other + data[end:]


def _changed(text: bytes, chance: random.Random) -> bytes:
    document = json.loads(text)
    for _ in range(chance.choice((1, 1, 2, 5))):
        places: list[tuple[Any, Any]] = []
        _collect(document, places)
        if not places:
            return json.dumps(chance.choice(ODD)).encode()
        holder, key = chance.choice(places)
        kind = chance.randrange(8)
        if kind == 0 and isinstance(holder, dict):
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.append(holder[key])
        elif kind == 2:
            holder[key] = json.loads(json.dumps(chance.choice(places)[0]))
        elif kind == 3 and isinstance(holder[key], int | float):
            holder[key] = holder[key] * chance.choice((-1, 2, 1000, 1 << 20)) + chance.randrange(2)
        else:
            holder[key] = chance.choice(ODD)
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    if isinstance(value, dict):
        for key in value:
            places.append((value, key))
            _collect(value[key], places)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            places.append((value, index))
            _collect(each, places)
