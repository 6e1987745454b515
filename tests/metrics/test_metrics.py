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
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_strictly

from container_oomkill.incident.model import Container
from container_oomkill.incident.node_memory import NodeMemory, Share
from container_oomkill.metrics.document import document
from container_oomkill.metrics.exposition import page, wants_openmetrics
from container_oomkill.metrics.metrics import Metrics
from container_oomkill.metrics.prometheus import Collector, Metric, choose_encoder
from container_oomkill.metrics.table import LATENCY, ROWS

from ..support.incidents import (
    BOOT_NS,
    MIB,
    Clock,
    FakeProbe,
    container,
    incident,
    node_wide,
    victim,
)
from ..support.scraping import full, make, samples, scrape, value

GOLDEN = Path(__file__).parents[1] / "data" / "metrics.txt"
DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def test_page_is_the_golden_one() -> None:
    """To take over a wanted change: UPDATE_GOLDEN=1 pytest tests/metrics/test_metrics.py"""
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


def test_unresolved_counts_what_the_records_say() -> None:
    metrics = make(FakeProbe())
    name = "container_oomkill_unresolved_total"
    assert value(metrics, name, reason="not_found") == 0
    metrics(incident(1))
    metrics(incident(2, container=container(None, unresolved="not_found")))
    metrics(incident(3, container=container(None, unresolved="too_big")))
    assert value(metrics, name, reason="not_found") == 1
    assert value(metrics, name, reason="too_big") == 1


def make_with_one() -> Metrics:
    metrics = make()
    metrics(incident())
    return metrics


def test_openmetrics_stands_the_strict_parser() -> None:
    text = scrape(full(), OPENMETRICS).decode()
    parsed = parse_strictly(text)  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    assert families["container_oomkill"].type == "counter"
    assert families["container_oomkill_memory_limit_bytes"].unit == "bytes"
    assert families["container_oomkill_last"].type == "info"


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
    """To bring it: python -m container_oomkill.metrics.document docs/metrics.md"""
    assert document() == DOCUMENT.read_text(encoding="utf-8")


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


def test_a_group_is_counted_as_the_kernel_counts_it() -> None:
    """It comes to the chosen process twice: three victims are four kills in /proc/vmstat."""
    metrics = make(kernel_kills=lambda: 4, kernel_kills_before=0)
    group = incident(1, victims=(victim(), victim(pid=4), victim(pid=5)))
    metrics(replace(group, oom=replace(group.oom, group=True)))
    assert value(metrics, "container_oomkill_unaccounted") == 0


def test_a_group_whose_chosen_process_was_gone_hides_no_later_loss() -> None:
    """The kernel comes to it a second time and may find it gone: three victims are three kills."""
    counted = [3]
    metrics = make(kernel_kills=lambda: counted[0], kernel_kills_before=0)
    group = incident(1, victims=(victim(), victim(pid=4), victim(pid=5)))
    metrics(replace(group, oom=replace(group.oom, group=True)))
    assert value(metrics, "container_oomkill_unaccounted") == 0
    counted[0] += 1
    assert value(metrics, "container_oomkill_unaccounted") == 1
    metrics(incident(2))
    assert value(metrics, "container_oomkill_unaccounted") == 0


def test_earlier_kills_are_less_those_told_after_all() -> None:
    """Pinned hooks have records of kills from before the start: the cgroup has counted them too."""
    metrics = make()
    metrics.earlier(("", "", "app"), 2, BOOT_NS + 1)
    before = incident(1, container=container("app", pod=None, namespace=None))
    name = "container_oomkill_earlier_kills"
    assert value(metrics, name, container="app", namespace="", pod="") == 2
    metrics(before)
    assert value(metrics, name, container="app", namespace="", pod="") == 1
    metrics(replace(before, boot_ns=BOOT_NS + 2))
    assert value(metrics, name, container="app", namespace="", pod="") == 1


def test_what_is_killed_after_a_cgroup_was_read_is_no_earlier_kill() -> None:
    """The counts are read right after attaching, and shown when who they are of is known."""
    metrics = make()
    metrics.earlier(("", "", "app"), 3, BOOT_NS + 1)
    metrics.earlier(("", "", "other"), 1, BOOT_NS + 3)
    meanwhile = incident(1, container=container("app", pod=None, namespace=None))
    name = "container_oomkill_earlier_kills"
    metrics(replace(meanwhile, boot_ns=BOOT_NS + 2))
    assert value(metrics, name, container="app", namespace="", pod="") == 3
    metrics(meanwhile)  # of a pinned ring
    assert value(metrics, name, container="app", namespace="", pod="") == 2


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
        "import sys; from container_oomkill.metrics import prometheus;"
        "assert not {'ssl', 'http.server', 'urllib.request'} & set(sys.modules);"
        "assert 'prometheus_client.decorator' not in sys.modules;"
        "import ssl, gzip, http.server; ssl.SSLContext; http.server.HTTPServer; gzip.compress(b'x')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_thread_gets_the_real_modules_while_prometheus_client_is_imported() -> None:
    """As names and destinations are, when the first scrape comes right at the start."""
    code = """
import sys, threading
found = []
def other():
    import ssl, http.client
    found.extend([ssl, http.client.ssl])
def on_import(event, args):
    if event == "import" and args[0] == "prometheus_client.registry":
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
sys.addaudithook(on_import)
from container_oomkill.metrics import prometheus
assert [module.__file__ for module in found] == [sys.modules["ssl"].__file__] * 2
"""
    subprocess.run([sys.executable, "-c", code], check=True)


PLAIN, TEXT_1, OPEN_1 = (
    "text/plain; version=0.0.4; charset=utf-8",
    "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
)


@pytest.mark.parametrize(
    ("accept", "claimed"),
    [
        ("application/openmetrics-text;version=2.0.0", PLAIN),
        ("application/openmetrics-text;version=2.0.0;q=0.7,text/plain;version=1.0.0;q=0.1", TEXT_1),
        # Prometheus 3.16 with openmetrics2, all of its fallbacks
        (
            (
                "application/openmetrics-text;version=2.0.0;q=0.6,"
                "application/openmetrics-text;version=1.0.0;q=0.5,"
                "text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
            ),
            OPEN_1,
        ),
        ("application/openmetrics-text;version=1.0.0;q=0.1,text/plain;version=1.0.0;q=0.9", TEXT_1),
        ("application/openmetrics-text;version=1.0.0;q=0,text/plain;version=1.0.0;q=0.1", TEXT_1),
        ("application/openmetrics-text;version=1.0.0;q=high", PLAIN),
        ("application/openmetrics-text;version=1.0.0;q=nan", PLAIN),
        ("text/plain;version=7", PLAIN),
        ("*/*", PLAIN),
        (";;,=;q=", PLAIN),
    ],
)
def test_only_what_is_written_is_claimed(accept: str, claimed: str) -> None:
    headers, pieces = page(full().families(created=wants_openmetrics(accept)), accept=accept)
    assert dict(headers)["Content-Type"] == claimed
    assert b"".join(pieces).endswith(b"# EOF\n") == claimed.startswith("application/openmetrics")


def test_the_nodes_memory_is_of_the_last_kill_and_expires() -> None:
    clock = Clock()
    metrics = make(monotonic=clock, expiry_seconds=3600)
    assert value(metrics, "container_oomkill_node_wide_last_timestamp_seconds") is None
    metrics(node_wide())
    metrics(incident(2))  # a cgroup's limit changes nothing of it
    memory = "container_oomkill_node_wide_memory_bytes"
    assert value(metrics, memory, kind="unaccounted") == 70 * MIB
    assert value(metrics, memory, kind="zswap") is None
    held = "container_oomkill_node_wide_held_bytes"
    assert value(metrics, held, pod="db-0", container="db") == 600 * MIB
    clock.now += 3600
    assert value(metrics, memory, kind="total") is None


def test_no_more_than_five_hold_the_node() -> None:
    ids = [f"{n}" * 64 for n in range(9)]
    rows = tuple(Share(cgroup=f"/docker/{i}", usage_bytes=9, container=Container(i)) for i in ids)
    metrics = make()
    metrics(node_wide(node_memory=NodeMemory(cgroups=rows)))
    held = [name for name, _ in samples(metrics) if name.endswith("node_wide_held_bytes")]
    assert len(held) == 5
