# SPDX-License-Identifier: Apache-2.0
"""After a restart: what the history feeds again, what nobody recorded; nothing counted twice."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.history.last_count import SUFFIX, LastCount
from container_oomkill.identity.resolver import Resolver
from container_oomkill.incident.model import Container, Incident
from container_oomkill.sinks.json_lines import render
from container_oomkill.system.sd_notify import Notifier

from ..support.history import files_no_larger_than, opened
from ..support.incidents import BOOT_NS, FakeProbe, container, incident, victim
from ..support.scraping import value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history"


class Kernel:
    """Its counts, and its clock."""

    def __init__(self) -> None:
        self.kills = 7
        self.boot = "one"
        self.now = BOOT_NS

    def last_count(self, path: Path) -> LastCount:
        return LastCount(
            str(path),
            kernel_kills=lambda: self.kills,
            boot_id=lambda: self.boot,
            boot_ns=lambda: self.now,
        )


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def test_what_the_kernel_counted_meanwhile_was_missed(path: Path, kernel: Kernel) -> None:
    assert kernel.last_count(path).missed(7, []) is None
    kernel.last_count(path).write()
    assert kernel.last_count(path).missed(7, []) == 0
    assert kernel.last_count(path).missed(9, []) == 2
    assert kernel.last_count(path).missed(None, []) is None


def test_what_the_history_has_was_not_missed(path: Path, kernel: Kernel) -> None:
    """The process was killed between the one file and the other."""
    kernel.last_count(path).write()
    before = incident(1, boot_ns=BOOT_NS - 1)
    after = incident(2, boot_ns=BOOT_NS + 1, victims=(victim(), victim(pid=4)))
    group = replace(after, boot_ns=BOOT_NS + 2, oom=replace(after.oom, group=True))
    assert kernel.last_count(path).missed(12, [before, after]) == 3
    assert kernel.last_count(path).missed(12, [before, after, group]) == 0


def test_after_a_boot_all_of_its_kills_were_missed(path: Path, kernel: Kernel) -> None:
    kernel.last_count(path).write()
    kernel.boot = "two"
    assert kernel.last_count(path).missed(3, [incident(1, boot_ns=BOOT_NS + 1)]) == 3


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"boot_id": "one"}', "\x00" * 60]
    + [json.dumps({"boot_id": "one", "boot_ns": 1, "kernel_kills": each}) for each in ("7", True)],
)
def test_a_damaged_count_is_none(path: Path, kernel: Kernel, text: str) -> None:
    path.with_name("history" + SUFFIX).write_text(text)
    assert kernel.last_count(path).missed(7, []) is None


def test_a_count_that_could_not_be_written_does_not_lie_later(path: Path, kernel: Kernel) -> None:
    kernel.last_count(path).write()
    kernel.kills += 3
    with files_no_larger_than(10):
        kernel.last_count(path).write()
    assert kernel.last_count(path).missed(10, []) is None


def restarted(path: Path, *, kills: int, before: int, **changes: object) -> Exporter:
    settings = ExporterSettings(history=str(path))
    return Exporter(
        settings,
        FakeProbe(),
        version="1",
        render=str,
        notifier=Notifier({}),
        kernel_kills=lambda: kills,
        kernel_kills_before=before,
        **changes,  # type: ignore[arg-type]
    )


def keep(path: Path, *incidents: Incident, kills: int) -> None:
    """One exporter's whole life; ``kills``: what the kernel counts at its end."""
    exporter = restarted(path, kills=kills, before=kills - len(incidents))
    kept = exporter.keep()
    assert kept is not None
    for each in incidents:
        exporter.sink(each)
        kept(each)
    kept.close()
    exporter.close()


def recent(sequence: int, **changes: object) -> Incident:
    """One of this boot, a minute ago."""
    at = time.time() - 60
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 60 * 10**9 + sequence
    return incident(sequence, time=at, boot_ns=boot_ns, **changes)


def test_the_last_kill_is_shown_again_and_not_counted_again(path: Path) -> None:
    old = recent(1, container=container("old"))
    old = replace(old, time=time.time() - 2 * 3600)
    keep(path, old, recent(2), kills=9)
    exporter = restarted(path, kills=9, before=9)
    kept = exporter.keep()
    assert kept is not None
    metrics = exporter.metrics
    assert value(metrics, "container_oomkill_last_info", container="app") == 1
    assert value(metrics, "container_oomkill_memory_limit_bytes", container="app") == 128 << 20
    assert value(metrics, "container_oomkill_last_info", container="old") is None  # it expired
    # The counters begin at 0, so that the next kill is an increase.
    for name in ("app", "old"):
        of = {"container": name, "scope": "container"}
        assert value(metrics, "container_oomkill_total", **of) == 0
    assert value(metrics, "container_oomkill_kills_total", scope="container") == 0
    named = {"namespace": "shop", "scope": "container"}
    assert value(metrics, "container_oomkill_namespace_kills_total", **named) == 0
    assert value(metrics, "container_oomkill_missed_while_down") == 0
    assert value(metrics, "container_oomkill_unaccounted") == 0
    kept.close()
    exporter.close()


def test_a_record_that_comes_from_both_is_counted_once(path: Path) -> None:
    """The history has it, and the process was killed before it left the pinned ring."""
    again = recent(2)
    keep(path, again, kills=9)
    exporter = restarted(path, kills=10, before=8, recorded_meanwhile=True)
    kept = exporter.keep()
    assert kept is not None
    exporter.sink(again)
    exporter.sink(recent(3))
    metrics = exporter.metrics
    assert value(metrics, "container_oomkill_kills_total", scope="container") == 1
    assert value(metrics, "container_oomkill_total", scope="container") == 1
    assert value(metrics, "container_oomkill_unaccounted") == 0
    assert value(metrics, "container_oomkill_missed_while_down") == 0  # the pins have them
    assert len(exporter.history.newest_first()) == 2
    kept.close()
    exporter.close()


def test_kills_of_meanwhile_are_shown_until_the_next_start(path: Path) -> None:
    keep(path, recent(1), kills=9)
    exporter = restarted(path, kills=13, before=12)
    kept = exporter.keep()
    assert kept is not None
    assert value(exporter.metrics, "container_oomkill_missed_while_down") == 3
    kept.close()
    exporter.close()
    keep(path, kills=13)
    exporter = restarted(path, kills=13, before=13)
    kept = exporter.keep()
    assert kept is not None
    assert value(exporter.metrics, "container_oomkill_missed_while_down") == 0
    kept.close()
    exporter.close()


class Names:
    """Stands for a resolver that knows no more than the path."""

    def container(self, path: str) -> Container:
        return Container(name=path[1:])


def test_earlier_kills_are_without_those_of_the_history(path: Path) -> None:
    yesterday = incident(4, victims=(victim(cgroup_id=78),))  # of another boot
    keep(path, yesterday, recent(1), recent(2, victims=(victim(), victim(pid=4))), kills=9)
    exporter = restarted(path, kills=9, before=9)
    kept = exporter.keep()
    assert kept is not None
    counted = [("/app", 77, 5, BOOT_NS), ("/other", 78, 2, BOOT_NS), ("/told", 77, 3, BOOT_NS)]
    exporter.earlier(counted, cast("Resolver", Names()))
    name = "container_oomkill_earlier_kills"
    assert value(exporter.metrics, name, container="app") == 2
    assert value(exporter.metrics, name, container="other") == 2
    assert value(exporter.metrics, name, container="told") is None
    kept.close()
    exporter.close()


def test_the_history_itself_is_as_it_was(path: Path) -> None:
    keep(path, recent(1), kills=9)
    assert [json.loads(line)["sequence"] for line in path.read_text().splitlines()] == [1]
    with path.open("a") as file:
        file.write(render(recent(2)) + "\n")
    loaded = opened(path)
    assert [each.sequence for each in loaded.load()] == [1, 2]
    loaded.close()
