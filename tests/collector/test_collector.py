# SPDX-License-Identifier: Apache-2.0
"""A real collector takes every record as it is, once, however long it was away.

`make test-otlp` builds it.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.incident.model import Incident
from container_oomkill.otlp.log_record import log_record, uid
from container_oomkill.sinks.record import from_object

from ..support.any_incident import INCIDENTS
from ..support.collector import collector, free_address
from ..support.exporter_process import running
from ..support.incidents import HOSTILE, container, incident
from ..support.otlp import sender
from ..support.receiver import attributes
from ..support.waiting import eventually

MIB = 1 << 20
MANY = 10_000
ALLOWED = 6 * MIB
DEMO = Path(__file__).parents[2] / "src/container_oomkill/cli/assets/demo.jsonl"


def test_it_reads_what_we_say(tmp_path: Path) -> None:
    """Real kills and hostile ones, each key and value, through the collector's own types."""
    kills = [from_object(json.loads(line)) for line in DEMO.read_text().splitlines()]
    kills += [
        explain(incident(1000, container=container(HOSTILE, pod=HOSTILE))),
        explain(incident(1001, scope="node", domain=None)),
    ]
    address = free_address()
    with collector(tmp_path, address) as collected, sender(f"http://{address}") as sending:
        for each in kills:
            sending(each)
        eventually(lambda: sending.counts.now().sent == len(kills))
        eventually(lambda: len(collected.records()) == len(kills))
        for kill, record in zip(kills, collected.records(), strict=True):
            ours = log_record(kill)
            assert attributes(record) == attributes(ours)
            for key in ("timeUnixNano", "severityNumber", "severityText", "body", "eventName"):
                assert record[key] == ours[key]
        (batch, *_) = collected.batches()
        found = attributes(batch["resource"])
        assert found["service.name"] == "container-oomkill"
        assert found["k8s.node.name"] == "node-1.k8s"
        assert batch["schemaUrl"] == "https://opentelemetry.io/schemas/1.43.0"
        assert batch["scopeLogs"][0]["scope"] == {"name": "container-oomkill", "version": "1.2.3"}


@pytest.fixture
def shm() -> Iterator[Path]:
    """In memory: each incident is synced, and ten thousand of these are a disk's minutes."""
    with tempfile.TemporaryDirectory(prefix="oomkill-otlp-", dir="/dev/shm") as folder:
        yield Path(folder)


def history_of(folder: Path) -> list[str]:
    return [
        "--history",
        str(folder / "history"),
        *("--history.max-incidents", str(MANY), "--history.max-bytes", str(128 * MIB)),
    ]


def memory_of_history_alone(folder: Path) -> int:
    folder.mkdir()
    with running(*history_of(folder)) as exporter:
        exporter.tell(f"kills {MANY}")
        exporter.tell("written")
        return exporter.memory("Anonymous")


def test_ten_thousand_kills_while_it_is_down(tmp_path: Path, shm: Path) -> None:
    """All there, none twice by uid, in less than 6 MiB more than the history takes anyway."""
    alone = memory_of_history_alone(shm / "alone")
    address = free_address()
    options = [*history_of(shm), "--otlp.endpoint", f"http://{address}"]
    with running(*options) as exporter:
        exporter.tell(f"kills {MANY}")
        exporter.tell("written")
        waiting = exporter.memory("Anonymous")
        with collector(tmp_path, address) as collected:
            eventually(lambda: len(collected.uids()) >= MANY, 400)
            sent = exporter.memory("Anonymous")
            uids = collected.uids()
    assert len(uids) == MANY
    assert len(set(uids)) == MANY
    print(
        f"history alone {alone / MIB:.1f} MiB, waiting {waiting / MIB:.1f}, sent {sent / MIB:.1f}"
    )
    assert waiting - alone < ALLOWED
    assert sent - alone < ALLOWED


def test_an_exporter_that_is_killed_and_a_collector_that_is_too(tmp_path: Path, shm: Path) -> None:
    """Both end in the middle, more than once: all of it arrives, and what comes twice says so."""
    address = free_address()
    options = [*history_of(shm), "--otlp.endpoint", f"http://{address}"]
    each, rounds = 300, 3
    for number in range(rounds):
        with running(*options) as exporter:
            exporter.tell(f"kills {each}")
            exporter.tell("written")
            with collector(tmp_path, address) as collected:
                eventually(lambda: len(set(collected.uids())) > 300 * number + 50)  # noqa: B023
                exporter.kill()
    with running(*options), collector(tmp_path, address) as collected:
        eventually(lambda: len(set(collected.uids())) == each * rounds)
    assert len(collected.uids()) <= each * rounds + 100 * rounds  # a batch for each that broke


def test_any_incident_arrives(tmp_path: Path) -> None:
    """Whatever a record may hold, there is no value that the collector refuses."""
    address = free_address()
    number = itertools.count()
    with collector(tmp_path, address) as collected, sender(f"http://{address}") as sending:

        @settings(max_examples=10)
        @given(st.lists(INCIDENTS, min_size=1, max_size=20))
        def arrive(kills: list[Incident]) -> None:
            before = sending.counts.now().sent
            numbered = [explain(each.changed(sequence=next(number))) for each in kills]
            for each in numbered:
                sending(each)
            eventually(lambda: sending.queue.depth() == 0)
            assert sending.counts.now().sent == before + len(kills)
            eventually(lambda: set(collected.uids()) >= {uid(each) for each in numbered})

        arrive()
