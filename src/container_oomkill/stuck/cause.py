# SPDX-License-Identifier: Apache-2.0
"""Takes a `Stuck` whose container is named, gives its cause and one sentence."""

from __future__ import annotations

from dataclasses import replace

from ..units import duration, size
from .model import (
    CHARGE_REFUSED,
    HUGE_PAGE_REFUSED,
    NOTHING_KILLABLE,
    OOM_DISABLED,
    THROTTLED,
    Stuck,
)

# By `Episode.ended`; None: nothing was heard of it any more.
FOR = {
    True: "it went on for {}",
    False: "it has gone on for {}",
    None: "it had gone on for {} when last heard of",
}


def with_cause(stuck: Stuck, killable: bool | None) -> Stuck:
    """``killable``: from `is_anything_killable`, for one that ran out and had nothing killed."""
    if stuck.stuck.cause is not None or killable is None:
        return stuck
    cause = CHARGE_REFUSED if killable else NOTHING_KILLABLE
    return replace(stuck, stuck=replace(stuck.stuck, cause=cause))


def explain(stuck: Stuck) -> Stuck:
    """Return it with its verdict."""
    episode = stuck.stuck
    words = _what(stuck)
    if episode.seconds:  # there was more than one event
        words += "; " + FOR[episode.ended].format(duration(episode.seconds))
    return replace(stuck, verdict=words)


def as_of(stuck: Stuck, now: float) -> Stuck:
    """Return one that goes on as it is ``now``: that it is over would be known within seconds."""
    episode = stuck.stuck
    if episode.ended is not False:
        return stuck
    seconds = max(episode.seconds or 0.0, now - stuck.time)
    return explain(replace(stuck, stuck=replace(episode, seconds=seconds)))


def _what(stuck: Stuck) -> str:
    limit = "" if stuck.limit_bytes is None else f" ({size(stuck.limit_bytes)})"
    cause, events = stuck.stuck.cause, stuck.stuck.events
    often = f" {events:,} {'time' if events == 1 else 'times'}" if events else ""
    if cause == THROTTLED:
        high = "" if stuck.high_bytes is None else f" ({size(stuck.high_bytes)})"
        return (
            f"it uses more than memory.high{high}, and little of that can be reclaimed: its "
            f"processes were put to sleep{often}, and nothing is killed"
        )
    if cause == HUGE_PAGE_REFUSED:
        return (
            f"its limit{limit} has no room for a huge page (hugetlb), which is charged here: for "
            f"such a page nothing is killed, and who touched it got SIGBUS{often}"
        )
    if cause == OOM_DISABLED:
        return (
            f"its limit{limit} is reached and memory.oom_control has its processes wait until "
            "there is room, rather than be killed"
        )
    if cause == NOTHING_KILLABLE:
        return (
            f"its limit{limit} was reached{often} and nothing was killed: all of its processes "
            "have an oom_score_adj of -1000"
        )
    if cause == CHARGE_REFUSED:
        return (
            f"its limit{limit} was reached{often} and nothing was killed: who asked was refused "
            "(ENOMEM)"
        )
    return f"its limit{limit} was reached{often} and nothing was killed"
