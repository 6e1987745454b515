# SPDX-License-Identifier: Apache-2.0
"""Turns incidents into Prometheus metrics: a sink, and a collector of prometheus_client.

The sink only stores what it is given; a scrape turns the numbers into text. One lock separates the
two.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from math import isnan
from typing import TYPE_CHECKING, Protocol

from ..incident.container import UNRESOLVED
from ..probe.kernel_counts import kernel_count, seen_so_far
from ..sinks.names import counted_as, owner_of, victims_cgroup, workload_of
from ..units import NS
from .exposition import Family, Labels, Point, clean
from .others import OtherKills
from .series import Key, Series
from .stuck import StuckEpisodes
from .table import (
    INCIDENTS,
    ITSELF,
    KILLS,
    KILLS_BY_SCOPE,
    LAST_INFO,
    LAST_KILL,
    LATENCY,
    LATENCY_BUCKETS,
    LOST,
    MISMATCHES,
    NAMESPACE_KILLS,
    NODE_WIDE,
    OTHERS,
    RECORDER,
    STUCK,
    Destination,
    Facts,
    Row,
)
from .totals import Total, Totals

if TYPE_CHECKING:
    from ..incident.model import Incident
    from ..killers.model import Kill
    from .prometheus import Collector, Metric

NO_LABELS = Labels((), ())


class ProbeStatus(Protocol):
    """What the metrics ask the probe, at each scrape; from the web server's thread."""

    @property
    def hook(self) -> str: ...

    @property
    def kernel(self) -> str: ...

    @property
    def attached(self) -> bool: ...

    def counters(self) -> Mapping[str, int]:
        """Counts since the start; ``lost_REASON`` become lost_total{reason="REASON"}."""

    def ring_use(self) -> tuple[int, int]:
        """Bytes of the ring buffer that wait to be released, and its size."""

    def recorder_status(self) -> Mapping[str, int] | None:
        """What the flight recorder counted of its own work; None: there is none."""

    def killers_status(self) -> Mapping[str, int] | None:
        """What was counted of kills by others; None: they are not recorded."""

    def features(self) -> Mapping[str, bool]:
        """Whether this kernel gives it, by name."""


def label_values(incident: Incident) -> Key:
    """Return namespace, pod and container that it is counted as."""
    return _clean_key(counted_as(incident.container, victims_cgroup(incident)))


@dataclass(frozen=True, slots=True)
class Moment:
    """Every metric of one moment.

    ``containers``: what changes with a kill, with a container that comes or goes, and by expiring,
    with nothing else: while the ``version`` is the same, so are they. ``itself``: the others.
    """

    version: int
    containers: Iterable[Family]
    itself: Iterable[Family]


class Metrics:
    """Call it with each incident; `moment`, `families` or `collect` at a scrape."""

    def __init__(
        self,
        status: ProbeStatus,
        *,
        version: str,
        expiry_seconds: float = 3600.0,
        max_containers: int = 500,
        kernel_kills: Callable[[], int | None] = lambda: None,
        kernel_kills_before: int | None = None,
        queues: Callable[[], Mapping[str, tuple[int, int]]] = dict,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boot_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        process: Collector | None = None,
        external_url: str | None = None,
    ) -> None:
        """``kernel_kills``: the kernel's own count since boot, and as of the last delivery.

        ``queues``: by name, how much waits in it and how much it holds; ``external_url``: where
        people reach the pages.
        """
        self._status = status
        self._version = version
        self._kernel_kills = kernel_kills
        self._kernel_kills_before = kernel_kills_before
        self._boot_ns = boot_ns
        self._queues = queues
        self._process = process
        self._lock = threading.Lock()
        self._series = Series(
            expiry_seconds=expiry_seconds,
            max_containers=max_containers,
            monotonic=monotonic,
            wall=wall,
        )
        self._totals = Totals(monotonic=monotonic, wall=wall)
        self._others = OtherKills(max_containers=max_containers, monotonic=monotonic)
        self.stuck = StuckEpisodes(monotonic)
        self._wall = wall
        self._external_url = None if external_url is None else external_url.rstrip("/")
        self._restored: frozenset[str] = frozenset()  # ids of what an earlier process counted
        self.missed_while_down: int | None = None
        self._told = 0  # kills, by the kernel's way to count
        self._earlier: dict[Key, int] = {}
        self._max_earlier = max_containers
        self._earlier_until: dict[Key, int] = {}  # when that was counted, CLOCK_BOOTTIME in ns
        self.watch_up: Callable[[], bool | None] = lambda: None  # of the cluster's API
        self.destinations: Callable[[], Mapping[str, Destination]] = dict
        self._lost = dict.fromkeys(LOST, 0)
        self._mismatches = dict.fromkeys(MISMATCHES, 0)
        self._unresolved = dict.fromkeys(UNRESOLVED, 0)
        self._latency_counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self._latency_sum = 0.0
        self._monotonic = monotonic
        self._expiry_seconds = expiry_seconds
        self._node_wide: tuple[Incident, float] | None = None  # and when it expires, monotonic

    def __call__(self, incident: Incident) -> None:
        """Take an incident: from here on a scrape shows it."""
        key = label_values(incident)
        with self._lock:
            self._told += kernel_count(incident)
            if incident.id in self._restored:
                return  # it has a place in the history and in the pinned ring
            if incident.boot_ns < self._earlier_until.get(key, 0):
                self._earlier[key] -= incident.kills
            if reason := incident.container.unresolved:
                self._unresolved[reason] = self._unresolved.get(reason, 0) + 1
            workload = clean(workload_of(incident.container, victims_cgroup(incident)))
            owner = owner_of(incident.container, victims_cgroup(incident))
            self._series.record(key, incident, workload, owner)
            self._totals.record(key[0], incident)
            self._keep_node_wide(incident)
            seconds = max(0.0, (self._boot_ns() - incident.boot_ns) / NS)
            self._latency_sum += seconds
            self._latency_counts[bisect_left(LATENCY_BUCKETS, seconds)] += 1

    def by_another(self, kill: Kill) -> None:
        """Take a kill that was not the OOM killer's."""
        container, cgroup = kill.container, kill.target.cgroup
        key = _clean_key(counted_as(container, cgroup))
        with self._lock:
            self._others.record(key, kill.killer.cause, owner_of(container, cgroup))

    def restore(self, incidents: Sequence[Incident]) -> None:
        """Show the last kills of earlier processes, oldest first; they are not counted again."""
        now = self._wall()
        with self._lock:
            self._restored = frozenset(incident.id for incident in incidents)
            for incident in sorted(incidents, key=lambda each: each.time):
                key = label_values(incident)
                workload = clean(workload_of(incident.container, victims_cgroup(incident)))
                age = max(0.0, now - incident.time)
                owner = owner_of(incident.container, victims_cgroup(incident))
                self._series.restore(key, incident, workload, owner, age=age)
                self._totals.show(key[0])
                self._keep_node_wide(incident, age)

    def _keep_node_wide(self, incident: Incident, age: float = 0.0) -> None:
        if incident.node_memory is not None:
            self._node_wide = incident, self._monotonic() + self._expiry_seconds - age

    def register(self, labels: Key, workload: str = "") -> None:
        """A container exists (namespace, pod, container): its counters show, at 0 at first.

        The workload of a registered container may become known later.
        """
        key = _clean_key(labels)
        with self._lock:
            owner = f"namespace {labels[0]}" if labels[0] else ""
            self._series.register(key, clean(workload), owner)
            self._totals.register(key[0])

    def forget(self, labels: Key) -> None:
        """No container of these labels exists any more."""
        key = _clean_key(labels)
        with self._lock:
            self._series.forget(key)
            self._totals.forget(key[0])

    def earlier(self, labels: Key, kills: int, at_ns: int) -> None:
        """Show so many kills, by a cgroup's count; what is delivered of them later is subtracted.

        They are shown for what they are: nothing is known of them but their number. ``at_ns``: when
        it was counted, CLOCK_BOOTTIME. What is killed after it is not among them.
        """
        with self._lock:
            key = _clean_key(labels)
            if key in self._earlier or len(self._earlier) < self._max_earlier:
                self._earlier[key] = self._earlier.get(key, 0) + kills
                self._earlier_until[key] = max(at_ns, self._earlier_until.get(key, 0))
            else:
                self._series.evicted["counters"] += 1

    def lost(self, reason: str, records: int = 1) -> None:
        """Records were lost on this side of the ring; what the kernel lost is in its counters."""
        with self._lock:
            self._lost[reason] = self._lost.get(reason, 0) + records

    def mismatch(self, direction: str) -> None:
        """Count a container whose status in Kubernetes and the kernel disagree."""
        with self._lock:
            self._mismatches[direction] = self._mismatches.get(direction, 0) + 1

    def collect(self) -> Iterable[Metric]:
        for family in self.families(created=True):
            yield family.metric()

    def facts(self) -> Facts:
        """Give what the exporter says of itself, as of this moment."""
        with self._lock:
            return self._facts()

    def families(self, *, created: bool) -> Iterator[Family]:
        """Give every metric of this moment; ``created``: with the counters' start times."""
        now = self.moment(created=created)
        return chain(now.containers, now.itself)

    def moment(self, *, created: bool, known: int | None = None) -> Moment:
        """Give the same in its two parts; ``containers`` is empty if their version is ``known``."""
        with self._lock:
            facts = self._facts()
            latency = self._latency()
            version = self._series.version() + self._totals.version()
            containers = () if version == known else self._containers(created)
        return Moment(version, containers, self._itself(facts, latency))

    def _containers(self, created: bool) -> Iterable[Family]:
        """With the lock: what they are made of is copied before this returns."""
        last = self._series.last()
        counters = [
            (each.labels, each.workload, each.created, dict(each.kills), dict(each.incidents))
            for each in self._series.counts()
        ]
        totals = _copies([self._totals.all()])
        namespaces = _copies(self._totals.namespaces())

        def families() -> Iterator[Family]:
            kills = ((lab, of, at, kills) for lab, of, at, kills, _ in counters)
            yield Family(_head(KILLS), _counter(KILLS, kills, created))
            incidents = ((lab, of, at, counts) for lab, of, at, _, counts in counters)
            yield Family(_head(INCIDENTS), _counter(INCIDENTS, incidents, created))
            yield Family(_head(KILLS_BY_SCOPE), _sums(KILLS_BY_SCOPE, totals, created))
            yield Family(_head(NAMESPACE_KILLS), _sums(NAMESPACE_KILLS, namespaces, created))
            yield Family(_head(LAST_INFO), ((LAST_INFO.sample, each.info(), 1.0) for each in last))
            for index, row in enumerate(LAST_KILL):
                numbers = ((each.labels, each.numbers()[index]) for each in last)
                name = row.sample
                points = [(name, labels, number) for labels, number in numbers if not isnan(number)]
                yield Family(_head(row), points)

        return families()

    def _itself(self, facts: Facts, latency: list[Point]) -> Iterator[Family]:
        from .prometheus import Metric, ProcessCollector

        for row in (*STUCK, *NODE_WIDE, *ITSELF, *OTHERS, *RECORDER):
            of_itself = row.of_itself(facts) if row.of_itself else ()
            yield Family(
                _head(row),
                [
                    (row.sample, _own_labels(row.labels, values), number)
                    for values, number in of_itself
                ],
            )
        yield Family(_head(LATENCY), latency)
        if self._process is None:
            self._process = ProcessCollector(registry=None)
        for metric in self._process.collect():
            yield Family(
                Metric(metric.name, metric.documentation, metric.type),
                [
                    (s.name, _own_labels(tuple(s.labels), tuple(s.labels.values())), s.value)
                    for s in metric.samples
                ],
            )

    def _facts(self) -> Facts:
        status = self._status
        lost = {
            name.removeprefix("lost_"): number
            for name, number in status.counters().items()
            if name.startswith("lost_")
        }
        for reason, number in self._lost.items():
            lost[reason] = lost.get(reason, 0) + number
        now, before = self._kernel_kills(), self._kernel_kills_before
        kills = None if now is None or before is None else max(0, now - before)
        self._told = seen_so_far(self._told, kills)
        features = status.features()
        if self._node_wide is not None and self._node_wide[1] <= self._monotonic():
            self._node_wide = None
        return Facts(
            version=self._version,
            hook=status.hook,
            kernel=status.kernel,
            attached=status.attached,
            features=features,
            recorder=status.recorder_status() or {},
            lost=lost,
            unresolved=dict(self._unresolved),
            evicted=self._series.evicted
            | {"namespaces": self._totals.evicted, "other_kills": self._others.evicted},
            earlier={key: kills for key, kills in self._earlier.items() if kills > 0},
            missed_while_down=self.missed_while_down,
            external_url=self._external_url,
            kernel_kills=kills,
            unaccounted=None if kills is None else kills - self._told,
            queues=self._queues(),
            killers=status.killers_status() or {},
            other_kills=self._others.by_cause(),
            container_other_kills=self._others.by_container(),
            mismatches=dict(self._mismatches),
            watch_up=self.watch_up(),
            destinations=self.destinations(),
            stuck_totals=self.stuck.totals() if features.get("flight_recorder") else {},
            stuck=self.stuck.ongoing(),
            node_wide=None if self._node_wide is None else self._node_wide[0],
        )

    def _latency(self) -> list[Point]:
        from .prometheus import go_float

        points: list[Point] = []
        total = 0
        for bound, number in zip(
            (*LATENCY_BUCKETS, float("inf")), self._latency_counts, strict=True
        ):
            total += number
            upper = _own_labels(("le",), (go_float(bound),))
            points.append((LATENCY.sample + "_bucket", upper, total))
        points.append((LATENCY.sample + "_count", NO_LABELS, total))
        points.append((LATENCY.sample + "_sum", NO_LABELS, self._latency_sum))
        return points


def _clean_key(labels: Key) -> Key:
    namespace, pod, container = labels
    return clean(namespace), clean(pod), clean(container)


@lru_cache(maxsize=256)
def _own_labels(names: tuple[str, ...], values: tuple[str, ...]) -> Labels:
    """Of what the exporter says of itself: the same few at each scrape."""
    return Labels(names, tuple(clean(value) for value in values))


def _head(row: Row) -> Metric:
    from .prometheus import Metric

    return Metric(row.family, row.help, row.type, row.unit)


def _counter(
    row: Row, counts: Iterable[tuple[Labels, Labels, float, Mapping[str, int]]], created: bool
) -> Iterator[Point]:
    for labels, workload, at, by_scope in counts:
        for scope, number in by_scope.items():
            more = labels.around("scope", scope, workload)
            yield row.sample, more, number
            if created:
                yield row.family + "_created", more, at


def _copies(totals: Iterable[Total]) -> list[Total]:
    """As of now: they are counted on while a page is written."""
    return [replace(each, kills=dict(each.kills)) for each in totals]


def _sums(row: Row, totals: Iterable[Total], created: bool) -> Iterator[Point]:
    for each in totals:
        for scope, number in each.kills.items():
            labels = each.labels.plus("scope", scope)
            yield row.sample, labels, number
            if created:
                yield row.family + "_created", labels, each.created
