# SPDX-License-Identifier: Apache-2.0
"""What memory did before the kill, in words: at most one of these rules applies."""

from __future__ import annotations

from ..incident.before import Averages, ReclaimOf, RefaultsOf, Stalls
from ..incident.model import Incident
from ..incident.shapes import LEAK, LIMIT_LOWERED, PLATEAU, RAMP, SAWTOOTH, SPIKE, START_UP
from ..units import duration, in_mib, rate, size
from .limit import is_lowered
from .rule import Rule
from .shape import Evidence, find_shape

WAITED_PERCENT = 5.0  # of the time; spikes and slow leaks have 0
EPISODE_SECONDS = 10.0  # as long as the shortest average of memory.pressure


def _of(incident: Incident, shape: str) -> Evidence | None:
    before = incident.before
    if before is None or before.shape != shape:
        return None
    found = find_shape(incident)
    return found if found is not None and found.shape == shape else None


def _limit_lowered(incident: Incident) -> str | None:
    found = _of(incident, LIMIT_LOWERED)
    if found is None or found.limits is None or is_lowered(incident):  # that rule says it
        return None
    earlier, limit = found.limits
    was = "from no limit" if earlier is None else f"from {size(earlier)}"
    # No sample has it: it came after the last one, nobody saw when.
    ago = found.seconds or found.most_seconds or 0
    when = duration(ago) if found.seconds else f"less than {duration(ago)}"
    return (
        f"the limit had been lowered {was} to {size(limit or 0)} {when} before, with "
        f"{size(found.from_bytes or 0)} in use"
    )


def _plateau(incident: Incident) -> str | None:
    found = _of(incident, PLATEAU)
    if found is None:
        return None
    if found.from_bytes is None:
        return f"usage had been at the limit for {duration(found.seconds or 0)}"
    low, high = in_mib(found.from_bytes), size(found.most_bytes or 0)
    if found.seconds is not None:
        return f"usage was {low} to {high}, close to the limit, for {duration(found.seconds)}"
    return f"usage was {low} to {high} for all of the {duration(found.recorded_seconds)} recorded"


def _leak(incident: Incident) -> str | None:
    found, domain = _of(incident, LEAK), incident.domain
    if found is None or not found.growth_bytes_per_second:
        return None
    growth = found.growth_bytes_per_second
    words = f"usage grew {rate(growth)} for {duration(found.recorded_seconds)}"
    if domain is not None and domain.limit_bytes:
        again = duration(domain.limit_bytes / growth)
        words += f", steadily: twice the limit would put it off by {again}"
    return words


def _sawtooth(incident: Incident) -> str | None:
    found = _of(incident, SAWTOOTH)
    if found is None:
        return None
    low, high = in_mib(found.from_bytes or 0), size(found.most_bytes or 0)
    span = duration(found.seconds or 0)
    return f"usage rose and fell {found.falls} times in {span}, between {low} and {high}"


def _start_up(incident: Incident) -> str | None:
    found = _of(incident, START_UP)
    if found is None:
        return None
    life = duration(found.recorded_seconds)
    return f"usage grew from the start on and had not settled: {size(found.usage_bytes)} in {life}"


def _spike(incident: Incident) -> str | None:
    return _late_growth(_of(incident, SPIKE))


def _ramp(incident: Incident) -> str | None:
    return _late_growth(_of(incident, RAMP))


def _late_growth(found: Evidence | None) -> str | None:
    if found is None or found.from_bytes is None or found.seconds is None:
        return None
    words = f"usage went from {in_mib(found.from_bytes)} to {size(found.usage_bytes)}"
    words += f" in {duration(found.seconds)}"
    if found.most_bytes is not None and found.most_seconds:
        most, before = size(found.most_bytes), duration(found.most_seconds)
        words += f"; the most in the {before} before was {most}"
    return words


def _waited(incident: Incident) -> str | None:
    """A kill that comes at once leaves no trace here: stalls of milliseconds are below this."""
    before = incident.before
    if before is None or incident.domain is None:
        return None
    stalls = None if before.pressure is None else before.pressure.domain
    if stalls is not None and stalls.some is not None:
        return _by_pressure(stalls)
    return _by_reclaim(None if before.reclaim is None else before.reclaim.domain)


def _by_pressure(stalls: Stalls) -> str | None:
    if stalls.some is None:
        return None
    full = stalls.full or Averages()
    for some, all_, span in (
        (stalls.some.avg60, full.avg60, "minute"),
        (stalls.some.avg10, full.avg10, "10 s"),
    ):
        if some is None or not WAITED_PERCENT <= some <= 100:
            continue
        words = f"something in it waited for memory about {some:.0f} % of the last {span}"
        if all_ is not None and WAITED_PERCENT <= all_ <= some:
            words += f", everything {all_:.0f} %"
        return words
    return None


def _by_reclaim(episode: ReclaimOf | None) -> str | None:
    """Where there is no memory.pressure: the tasks' own passes of reclaim, and what they took."""
    if episode is None or not episode.passes or episode.stalled_seconds is None:
        return None
    span = episode.first_before_seconds
    if span is None or span < EPISODE_SECONDS:
        return None
    if episode.stalled_seconds * 100 < WAITED_PERCENT * span:
        return None
    return (
        f"in the {duration(span)} before, its tasks had to reclaim memory {episode.passes} times, "
        f"which took them {duration(episode.stalled_seconds)}"
    )


def _read_again(incident: Incident) -> str | None:
    """What fits is read once. The count is of all its life, so something else has to be recent."""
    before, domain = incident.before, incident.domain
    if before is None or before.refaults is None or domain is None or not domain.limit_bytes:
        return None
    if before.shape != PLATEAU and _waited(incident) is None:
        return None
    refaults = before.refaults.domain or RefaultsOf()
    file, anon = refaults.file_bytes or 0, refaults.anon_bytes or 0
    if max(file, anon) < domain.limit_bytes:
        return None
    what, how = ("page cache", "read") if file >= anon else ("heap", "swapped in")
    again = f"{size(max(file, anon))} of its {what} had been reclaimed and {how} again"
    return f"{again}: more than fits was in use"


SHAPE_RULES = (
    Rule(
        "limit-had-been-lowered",
        _limit_lowered,
        "Ask who lowered the limit, and why. Nothing else grew: set it back, or have the program "
        "use less first (a heap size, a cache size, fewer workers).",
        instead=True,
    ),
    Rule(
        "leak",
        _leak,
        "Find what grows: compare two heap profiles taken an hour apart. A higher limit only puts "
        "the next kill off, by the time the verdict says.",
        instead=True,
    ),
    Rule(
        "spike",
        _spike,
        "Look at what was asked of it in those seconds: one large request, a query, an upload, a "
        "batch. Bound its size, or what is served at once.",
    ),
    Rule(
        "ramp",
        _ramp,
        "Look at what changed when the growth began: load, a deployment, a job, a filling cache.",
    ),
    Rule(
        "start-up",
        _start_up,
        "Look at what it loads at its start. If that is what it needs, the limit is too low for "
        "it to start at all; a restart ends the same way.",
    ),
    Rule(
        "sawtooth",
        _sawtooth,
        "It gives memory back and takes it again, as a garbage collector or batches do: set the "
        "heap's maximum below the limit, or make the batches smaller.",
    ),
    Rule(
        "plateau",
        _plateau,
        "It had been short of memory for long before it was killed: look at its latency in that "
        "time, and at memory pressure. Alert on that, and size the limit by what it holds.",
    ),
    Rule(
        "waited-for-memory",
        _waited,
        "Alert on memory.pressure of this cgroup: it was slow before it was killed. Look for "
        "what it reads from disk again and again, or give it the memory to keep that.",
    ),
    Rule(
        "read-again",
        _read_again,
        "What it works with does not fit: give it the memory to keep that, or have it read less at "
        "a time. A higher limit helps here, as long as nothing grows.",
    ),
)
