# SPDX-License-Identifier: Apache-2.0
"""What an answer means for what was sent: the rules, in one table (docs/otlp.md explains them).

Where a status says that the destination or the credentials are wrong (401, 404), nothing is wrong
with the incident: it waits, as whoever mends that will want to see it. The queue is bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ..system.log import one_line
from ..system.network import WORDS_MAX
from .client import Answer, SendError

# Nothing in these will be right the next time: halves are tried, then what is alone is dropped.
TOO_LARGE = (413,)
REFUSED = (400, 406, 409, 410, 411, 414, 422, 431)
TRIES_MAX = 10  # of what a server fails on (500, 501, ...): it may be the incident's fault
UNAVAILABLE = (502, 503, 504)


class What(Enum):
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"  # retried, but not for ever
    TOO_LARGE = "too_large"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``words``: one line, for the log; ``retry_after``: seconds the server asks for."""

    what: What
    words: str = ""
    retry_after: float | None = None
    answer: Answer | None = None


def judge(post: Callable[[], Answer], *, wall: Callable[[], float] = time.time) -> Outcome:
    """Return what became of a request."""
    try:
        answer = post()
    except SendError as error:
        return Outcome(What.RETRY, str(error))
    status = answer.status
    if 200 <= status < 300:
        return Outcome(What.SENT, answer=answer)
    words = f"{status} {one_line(answer.reason)}".strip()
    if said := _said(answer.body):
        words += f": {said}"
    if 300 <= status < 400:
        words += ": redirects are not followed"
    what = What.RETRY
    if status in TOO_LARGE:
        what = What.TOO_LARGE
    elif status in REFUSED:
        what = What.REFUSED
    elif status >= 500 and status not in UNAVAILABLE:
        what = What.FAILED
    return Outcome(what, words, _retry_after(answer.headers.get("retry-after", ""), wall), answer)


def _said(body: bytes) -> str:
    """The start of the answer, on one line; a page for a browser says nothing."""
    text = body[:WORDS_MAX].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else one_line(text)[:WORDS_MAX]


def _retry_after(text: str, wall: Callable[[], float]) -> float | None:
    """Seconds, from a number or a date (RFC 9110, 10.2.3)."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - wall())
    except (ValueError, TypeError, OverflowError):
        return None
