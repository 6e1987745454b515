# SPDX-License-Identifier: Apache-2.0
"""The metrics sink against a golden page, prometheus_client's own encoders, and promtool."""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from container_oomkill.incident import Container, Rss
from container_oomkill.sinks.exposition import page
from container_oomkill.sinks.metrics import Metrics, label_values
from container_oomkill.sinks.metrics_table import LATENCY, ROWS, document
from container_oomkill.sinks.prometheus import Collector, Metric, choose_encoder
from container_oomkill.sinks.series import COUNTER_EXPIRY_SECONDS, COUNTERS_PER_CONTAINER

from .incidents import BOOT_NS, TIME, Clock, FakeProbe, container, incident, victim

GOLDEN = Path(__file__).parent / "data" / "metrics.txt"
DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


class NoProcess(Collector):
    def collect(self) -> Iterable[Metric]:
        return []


def make(probe: FakeProbe | None = None, **changes: Any) -> Metrics:
    values: dict[str, Any] = {
        "version": "1.2.3",
        "monotonic": Clock(),
        "wall": Clock(TIME),
        "boot_ns": lambda: BOOT_NS + 700_000,
        "process": NoProcess(),
    }
    return Metrics(probe or FakeProbe(), **(values | changes))


def scrape(metrics: Metrics, accept: str = "", encoding: str = "") -> bytes:
    families = metrics.families(created="openmetrics" in accept)
    return b"".join(page(families, accept=accept, accept_encoding=encoding)[1])


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a scrape, by name and labels; fails on one that comes twice."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(scrape(metrics).decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The one sample of this name that has these labels, maybe others too; None: there is none."""
    wanted = set(labels.items())
    found = [v for (n, have), v in samples(metrics).items() if n == name and wanted <= set(have)]
    assert len(found) <= 1, found
    return found[0] if found else None


def full() -> Metrics:
    """One of everything."""
    metrics = make(
        FakeProbe(counts={"kills": 3, "lost_ring_full": 2, "lost_no_context": 0}),
        kernel_kills=lambda: 110,
        kernel_kills_before=104,
    )
    metrics.unresolved("no_runtime", 0)
    metrics.register(("shop", "idle-1", "never-killed"))
    metrics(incident(1))
    metrics(incident(2, scope="pod", victims=(victim(), victim(pid=4), victim(pid=5))))
    weird = container('we"ird\\na\nme\x1b', pod=None, namespace=None, image=None)
    unknown = victim(rss=Rss(), command=None, uptime_seconds=None)
    metrics(incident(3, container=weird, domain=None, scope="node", victims=(unknown,)))
    return metrics


def test_page_is_the_golden_one() -> None:
    """To take over a wanted change: UPDATE_GOLDEN=1 pytest tests/test_metrics.py"""
    text = scrape(full()).decode()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "text/plain;version=0.0.4",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        OPENMETRICS,
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text",
    ],
)
def test_page_is_what_prometheus_client_writes(accept: str) -> None:
    metrics = full()
    encode, content_type = choose_encoder(accept)

    class SameMoment(Collector):
        def collect(self) -> Iterable[Metric]:
            created = "openmetrics" in content_type
            return [family.metric() for family in metrics.families(created=created)]

    assert scrape(metrics, content_type if "openmetrics" in accept else accept) == encode(
        SameMoment()
    )


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=nonsense",
        "application/openmetrics-text;version=1.0.0;escaping=dots",
        "text/plain;version=1.0.0;escaping=values",
        ";;==,,;version",
    ],
)
def test_odd_accept_headers_get_a_page(accept: str) -> None:
    assert b"container_oomkill_total{" in scrape(make_with_one(), accept)


def make_with_one() -> Metrics:
    metrics = make()
    metrics(incident())
    return metrics


def test_page_is_compressed_on_demand() -> None:
    metrics = full()
    headers, _ = page(metrics.families(created=False), accept_encoding="gzip")
    assert ("Content-Encoding", "gzip") in headers
    assert gzip.decompress(scrape(metrics, encoding="gzip")) == scrape(metrics)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt install prometheus")
def test_promtool_finds_nothing_to_complain_of() -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(full()), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_every_row_is_on_the_golden_page() -> None:
    names = {line.split("{")[0].split(" ")[0] for line in GOLDEN.read_text().splitlines()}
    missing = {row.sample for row in ROWS} - names - {LATENCY.sample}
    assert missing == set()
    assert LATENCY.sample + "_bucket" in names


def test_document_is_up_to_date() -> None:
    """To bring it: python -m container_oomkill.sinks.metrics_table docs/metrics.md"""
    assert document() == DOCUMENT.read_text(encoding="utf-8")


def test_known_containers_show_zero() -> None:
    metrics = make()
    metrics.register(("shop", "cart-7d9f4", "app"))
    for scope in ("container", "pod", "node"):
        assert value(metrics, "container_oomkill_total", container="app", scope=scope) == 0
    metrics(incident())
    assert value(metrics, "container_oomkill_total", container="app", scope="container") == 1


def test_counters_survive_another_id() -> None:
    metrics = make()
    for identity in ("ab" * 32, "cd" * 32):
        metrics(incident(container=container("app", id=identity)))
    assert value(metrics, "container_oomkill_total", scope="container") == 2
    assert value(metrics, "container_oomkill_last_info", container_id="cd" * 32) == 1
    assert value(metrics, "container_oomkill_last_info", container_id="ab" * 32) is None


def test_victims_and_incidents_are_told_apart() -> None:
    metrics = make()
    metrics(incident(victims=tuple(victim(pid=pid) for pid in range(4))))
    assert value(metrics, "container_oomkill_total", scope="container") == 4
    assert value(metrics, "container_oomkill_incidents_total", scope="container") == 1


def test_unknown_is_absent_not_zero() -> None:
    metrics = make()
    metrics(incident(domain=None, victims=(victim(rss=Rss()),)))
    assert value(metrics, "container_oomkill_memory_limit_bytes") is None
    assert value(metrics, "container_oomkill_rss_anon_bytes") is None
    assert value(metrics, "container_oomkill_rss_shmem_bytes") is None
    assert value(metrics, "container_oomkill_swapents_bytes") == 4096


def test_last_kill_expires_counters_stay() -> None:
    clock = Clock()
    metrics = make(monotonic=clock, expiry_seconds=60)
    metrics(incident())
    clock.now += 59
    assert value(metrics, "container_oomkill_memory_limit_bytes") is not None
    clock.now += 1
    assert value(metrics, "container_oomkill_memory_limit_bytes") is None
    assert value(metrics, "container_oomkill_last_info") is None
    assert value(metrics, "container_oomkill_total", scope="container") == 1


def test_a_further_kill_starts_expiry_anew() -> None:
    clock = Clock()
    metrics = make(monotonic=clock, expiry_seconds=60)
    for _ in range(3):
        metrics(incident())
        clock.now += 50
    assert value(metrics, "container_oomkill_last_timestamp_seconds") is not None


def test_last_kills_are_bounded_oldest_out() -> None:
    metrics = make(max_containers=3)
    for name in "abcd":
        metrics(incident(container=container(name)))
    assert value(metrics, "container_oomkill_last_timestamp_seconds", container="a") is None
    assert value(metrics, "container_oomkill_last_timestamp_seconds", container="b") is not None
    assert value(metrics, "container_oomkill_series_evicted_total", kind="last_kill") == 1
    assert value(metrics, "container_oomkill_series_evicted_total", kind="counters") == 0


def test_counters_are_bounded_known_ones_last() -> None:
    metrics = make(max_containers=1)
    metrics.register(("", "", "known"))
    for number in range(COUNTERS_PER_CONTAINER + 2):
        metrics(incident(container=container(f"c{number}")))
    counted = {
        dict(labels)["container"]
        for name, labels in samples(metrics)
        if name == "container_oomkill_total"
    }
    assert counted == {"known", "c3", "c4", "c5"}
    assert value(metrics, "container_oomkill_series_evicted_total", kind="counters") == 3


def test_counters_of_containers_long_gone_are_dropped() -> None:
    clock = Clock()
    metrics = make(monotonic=clock)
    metrics.register(("", "", "known"))
    metrics.register(("", "", "short"))
    metrics(incident(container=Container(name="gone")))
    metrics(incident(container=Container(name="short")))
    metrics.forget(("", "", "short"))
    clock.now += COUNTER_EXPIRY_SECONDS - 1
    assert value(metrics, "container_oomkill_total", container="short", scope="node") == 0
    clock.now += 1
    assert value(metrics, "container_oomkill_total", container="gone", scope="node") is None
    assert value(metrics, "container_oomkill_total", container="short", scope="node") is None
    assert value(metrics, "container_oomkill_total", container="known", scope="node") == 0


def test_forgetting_one_never_killed_leaves_nothing() -> None:
    metrics = make()
    metrics.register(("", "", "idle"))
    metrics.forget(("", "", "idle"))
    metrics.forget(("", "", "never known"))
    assert value(metrics, "container_oomkill_total", scope="node") is None


@pytest.mark.parametrize(
    ("whose", "cgroup", "labels"),
    [
        (container("app"), "/x", ("shop", "cart-7d9f4", "app")),
        (Container(id="ab" * 32), "/docker/" + "ab" * 32, ("", "", "abababababab")),
        (Container(id="ctr-by-hand-1"), "/default/x", ("", "", "ctr-by-hand-1")),
        (Container(), "/system.slice/cron.service", ("", "", "cron.service")),
        (Container(), "/", ("", "", "/")),
        (Container(), None, ("", "", "unknown")),
        (Container(name="a\tb\ud800"), None, ("", "", "a\\tb\\ud800")),
    ],
)
def test_labels(whose: Container, cgroup: str | None, labels: tuple[str, str, str]) -> None:
    assert label_values(incident(container=whose, victims=(victim(cgroup=cgroup),))) == labels


def test_names_that_look_alike_once_cleaned_share_a_series() -> None:
    metrics = make()
    for name in ("x" * 300, "x" * 400):
        metrics(incident(container=container(name)))
    assert value(metrics, "container_oomkill_total", scope="container") == 2
    name = "x" * 255 + "…"
    assert value(metrics, "container_oomkill_last_info", container=name) == 1


def test_latency_goes_to_the_right_bucket() -> None:
    now = itertools.chain([BOOT_NS + 900_000, BOOT_NS + 2_000_000_000, BOOT_NS - 5])
    metrics = make(boot_ns=lambda: next(now))
    for number in range(3):
        metrics(incident(number))
    buckets = {
        dict(labels)["le"]: count
        for (name, labels), count in samples(metrics).items()
        if name == "container_oomkill_latency_seconds_bucket"
    }
    # One was stamped later than it was served, by another CPU's clock: that is no time at all.
    assert (buckets["0.0001"], buckets["0.0005"], buckets["0.001"]) == (1, 1, 2)
    assert (buckets["1.0"], buckets["2.5"], buckets["+Inf"]) == (2, 3, 3)


@pytest.mark.parametrize(
    ("now", "before", "kills", "unaccounted"),
    [
        (110, 104, 6, 5),
        (104, 104, 0, 0),  # a kill of before the start came through the pinned ring
        (None, 104, None, None),
        (110, None, None, None),
    ],
)
def test_unaccounted(
    now: int | None, before: int | None, kills: int | None, unaccounted: int | None
) -> None:
    metrics = make(kernel_kills=lambda: now, kernel_kills_before=before)
    metrics(incident())
    assert value(metrics, "container_oomkill_kernel_kills_total") == kills
    assert value(metrics, "container_oomkill_unaccounted") == unaccounted


def test_losses_of_both_sides_add_up() -> None:
    probe = FakeProbe(counts={"records": 9, "lost_ring_full": 2})
    metrics = make(probe)
    metrics.lost("ring_full", 3)
    metrics.lost("broken_record")
    assert value(metrics, "container_oomkill_lost_total", reason="ring_full") == 5
    assert value(metrics, "container_oomkill_lost_total", reason="broken_record") == 1


def test_probe_info_goes_with_the_hooks() -> None:
    probe = FakeProbe()
    metrics = make(probe)
    assert value(metrics, "container_oomkill_probe_info", hook="fentry", kernel="6.12.117") == 1
    probe.attached = False
    assert value(metrics, "container_oomkill_probe_info") is None


def test_prometheus_client_comes_without_its_http_stack() -> None:
    """And leaves the real modules to whoever imports them afterwards."""
    code = (
        "import sys; from container_oomkill.sinks import prometheus;"
        "assert not {'ssl', 'http.server', 'urllib.request'} & set(sys.modules);"
        "import ssl, gzip, http.server; ssl.SSLContext; http.server.HTTPServer; gzip.compress(b'x')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
