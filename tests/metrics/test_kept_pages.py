# SPDX-License-Identifier: Apache-2.0
"""The page that is kept is, at every moment, the one that would be written anew."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from container_oomkill.metrics.exposition import page, wants_openmetrics
from container_oomkill.metrics.kept_pages import FORMATS, KeptPages
from container_oomkill.metrics.metrics import Metrics
from container_oomkill.metrics.series import COUNTER_EXPIRY_SECONDS
from container_oomkill.metrics.totals import NAMESPACE_EXPIRY_SECONDS

from ..support.incidents import Clock, FakeProbe, container, incident
from ..support.scraping import full, make, scrape

TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
LABELS = ("shop", "cart-7d9f4", "app")


class Counting(Metrics):
    """Counts how often the containers are written."""

    written = 0

    def _containers(self, created: bool) -> object:  # type: ignore[override]
        self.written += 1
        return super()._containers(created)


def restored(metrics: Metrics) -> None:
    metrics.restore([incident(7, container=container("restored"))])


def later(clock: Clock, seconds: float) -> None:
    clock.now += seconds


CHANGES: dict[str, Callable[[Metrics, Clock], object]] = {
    "a kill": lambda metrics, _: metrics(incident(2)),
    "a kill of another": lambda metrics, _: metrics(incident(3, container=container("other"))),
    "a container comes": lambda metrics, _: metrics.register(("shop", "cart", "new")),
    "its workload is known": lambda metrics, _: metrics.register(LABELS, "Deployment/cart"),
    "it goes": lambda metrics, _: metrics.forget(LABELS),
    "an earlier process's kills": lambda metrics, _: restored(metrics),
    "the last kill expires": lambda _, clock: later(clock, 3600.0),
    "counters expire": lambda _, clock: later(clock, COUNTER_EXPIRY_SECONDS),
    "a namespace expires": lambda _, clock: later(clock, 2 * NAMESPACE_EXPIRY_SECONDS),
}


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_containers_is_on_the_next_page(change: str, accept: str) -> None:
    clock = Clock()
    metrics = make(monotonic=clock)
    metrics.register(LABELS)
    metrics(incident(1))
    metrics(incident(4, container=container("gone", namespace="other")))
    pages = KeptPages(metrics)
    before = gzip.decompress(pages.packed(accept))
    CHANGES[change](metrics, clock)
    after = gzip.decompress(pages.packed(accept))
    assert after == scrape(metrics, accept)
    assert after != before


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_what_the_exporter_says_of_itself_is_of_the_moment(accept: str) -> None:
    probe = FakeProbe()
    metrics = Counting(probe, version="1")
    metrics(incident(1))
    pages = KeptPages(metrics)
    pages.packed(accept)
    probe.counts["lost_ring_full"] = 23
    metrics.lost("log", 42)
    text = gzip.decompress(pages.packed(accept)).decode()
    assert 'container_oomkill_lost_total{reason="ring_full"} 23' in text
    assert 'container_oomkill_lost_total{reason="log"} 42' in text
    assert metrics.written == 1


def test_containers_are_written_once_for_each_format() -> None:
    metrics = Counting(FakeProbe(), version="1")
    metrics(incident(1))
    pages = KeptPages(metrics)
    for _ in range(3):
        for accept in (TEXT, OPENMETRICS, f"{OPENMETRICS},{TEXT};q=0.5", ""):
            pages.packed(accept)
    assert metrics.written == 2
    metrics(incident(2))
    pages.packed(TEXT)
    assert metrics.written == 3


def test_only_so_many_formats_are_kept() -> None:
    metrics = full()
    pages = KeptPages(metrics)
    for version in ("0.0.1", "1.0.0"):
        for escaping in ("", ";escaping=allow-utf-8", ";escaping=underscores"):
            for media in ("application/openmetrics-text", "text/plain"):
                accept = f"{media};version={version}{escaping}"
                families = metrics.families(created=wants_openmetrics(accept))
                written = b"".join(page(families, accept=accept)[1])
                assert gzip.decompress(pages.packed(accept)) == written
                assert len(pages._kept) <= FORMATS


def test_it_is_the_page_of_who_takes_no_gzip() -> None:
    metrics = full()
    plain = b"".join(page(metrics.families(created=False))[1])
    assert gzip.decompress(KeptPages(metrics).packed("")) == plain
