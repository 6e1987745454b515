# SPDX-License-Identifier: Apache-2.0
"""Kills by others, and what is stuck, as log records; and through one sender beside incidents."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from container_oomkill.killers import cause
from container_oomkill.killers.cause import explain
from container_oomkill.killers.model import Kill, Stop
from container_oomkill.otlp.log_record import log_record
from container_oomkill.otlp.other_records import kill_log_record, stuck_log_record
from container_oomkill.sending.several import Several
from container_oomkill.sending.waiting import MemoryQueue
from container_oomkill.sinks.kill_names import kill_key
from container_oomkill.sinks.kill_record import kill_from_object
from container_oomkill.sinks.stuck_names import stuck_key
from container_oomkill.sinks.stuck_record import stuck_from_object
from container_oomkill.stuck.cause import explain as explain_stuck
from container_oomkill.stuck.model import NOTHING_KILLABLE, Episode, Stuck

from ..support.incidents import HOSTILE, MIB, container, incident
from ..support.kills import C, by, kill
from ..support.otlp import sender
from ..support.receiver import Receiver, attributes
from ..support.stuck import stuck
from ..support.waiting import eventually

STOP = Stop("SIGTERM", 10.0, 4719, "runc")


def test_what_a_kill_says() -> None:
    one = explain(kill(stop=STOP))
    record = kill_log_record(one)
    assert record["eventName"] == "container_oomkill.kill"
    assert record["timeUnixNano"] == "1790000000500000000"
    assert record["observedTimeUnixNano"] == record["timeUnixNano"]
    assert (record["severityNumber"], record["severityText"]) == (9, "INFO")
    assert record["body"] == {"stringValue": f"shop-cart-1: {one.verdict}"}
    found = attributes(record)
    assert kill_from_object(json.loads(found.pop("container_oomkill.record"))) == one
    assert found.pop("log.record.uid") == attributes(kill_log_record(one))["log.record.uid"]
    assert found == {
        "container.name": "shop-cart-1",
        "container.id": C,
        "container.runtime.name": "docker",
        "process.pid": 4711,
        "process.vpid": 1,
        "process.parent_pid": 4700,
        "process.title": "nginx",
        "process.user.id": 0,
        "process.linux.cgroup": f"/docker/{C}",
        "container_oomkill.kind": "kill",
        "container_oomkill.incident": one.id,
        "container_oomkill.cause": "runtime_stop",
        "container_oomkill.killer.how": "signal",
        "container_oomkill.killer.pid": 4720,
        "container_oomkill.killer.command": "runc",
        "container_oomkill.killer.unit": "containerd.service",
        "container_oomkill.stop.signal": "SIGTERM",
        "container_oomkill.stop.seconds_before": 10.0,
    }


@pytest.mark.parametrize(
    ("one", "why", "severity"),
    [
        (kill(stop=STOP), cause.RUNTIME_STOP, "INFO"),
        (kill(), cause.RUNTIME_KILL, "WARN"),
        (replace(kill(), pod_end="evicted"), cause.EVICTION, "ERROR"),
        (kill(killer=by("earlyoom", unit="earlyoom.service")), cause.EARLYOOM, "ERROR"),
        (kill(killer=by("bash", unit=None)), cause.USER, "WARN"),
    ],
)
def test_severity_is_by_cause(one: Kill, why: str, severity: str) -> None:
    record = kill_log_record(explain(one))
    assert attributes(record)["container_oomkill.cause"] == why
    assert record["severityText"] == severity


def test_a_pod_and_who_did_it_from_another_container() -> None:
    other = by("sh", container=container("debug", id="cd" * 32), is_above=False, unit=None)
    found = attributes(kill_log_record(explain(kill(container=container("app"), killer=other))))
    assert (found["k8s.pod.name"], found["k8s.container.name"]) == ("cart-7d9f4", "app")
    assert found["container_oomkill.cause"] == "other_container"
    assert found["container_oomkill.killer.container"] == "debug"
    assert "container.name" not in found


def ended(one: Stuck) -> Stuck:
    return explain_stuck(replace(one, stuck=Episode(NOTHING_KILLABLE, 900, 60.0, ended=True)))


def test_what_a_stuck_one_says() -> None:
    """Its begin and its end are two records, with the same id and times of their own."""
    begin = explain_stuck(stuck())
    first, last = stuck_log_record(begin), stuck_log_record(ended(begin))
    assert first["eventName"] == last["eventName"] == "container_oomkill.stuck"
    assert (first["severityText"], last["severityText"]) == ("ERROR", "INFO")
    assert int(last["timeUnixNano"]) - int(first["timeUnixNano"]) == 60 * 10**9
    assert first["body"] == {"stringValue": f"shop/cart-7d9f4/app: {begin.verdict}"}
    found, over = attributes(first), attributes(last)
    assert found["log.record.uid"] != over["log.record.uid"]
    assert stuck_from_object(json.loads(found["container_oomkill.record"])) == begin
    assert (found["container_oomkill.stuck.ended"], over["container_oomkill.stuck.ended"]) == (
        False,
        True,
    )
    wanted = {
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "cart-7d9f4",
        "container_oomkill.kind": "stuck",
        "container_oomkill.incident": begin.id,
        "container_oomkill.cause": "nothing_killable",
        "container_oomkill.stuck.seconds": 3.0,
        "container_oomkill.stuck.events": 471,
        "container_oomkill.stuck.cgroup": "/kubepods/pod1/app",
        "container_oomkill.usage_bytes": 24 * MIB,
        "container_oomkill.limit_bytes": 24 * MIB,
    }
    assert wanted.items() <= found.items()


def test_each_kind_is_another_record() -> None:
    """By its uid, whatever their times and pids are."""
    made = [log_record(incident()), kill_log_record(kill()), stuck_log_record(stuck())]
    uids = [attributes(each)["log.record.uid"] for each in made]
    assert len(set(uids)) == 3
    kinds = [attributes(each)["container_oomkill.kind"] for each in made]
    assert [each["eventName"] for each in made] == [f"container_oomkill.{kind}" for kind in kinds]


def test_hostile_names_stay_data() -> None:
    hostile = explain(kill(container=container(HOSTILE), command=HOSTILE, killer=by(HOSTILE)))
    for record in (kill_log_record(hostile), stuck_log_record(stuck(container=hostile.container))):
        text = record["body"]["stringValue"]
        assert text.isprintable()
        assert json.loads(json.dumps(record)) == record


def several(size: int = 256) -> tuple[Several, list[int]]:
    dropped: list[int] = []
    queues: dict[type, Any] = {
        type(incident()): MemoryQueue(size, dropped.append),
        Kill: MemoryQueue(size, dropped.append, key=kill_key),
        Stuck: MemoryQueue(size, dropped.append, key=stuck_key),
    }
    return Several(queues), dropped


def test_one_sender_sends_them_all() -> None:
    queue, dropped = several()
    with Receiver() as receiver, sender(receiver.url, queue) as sending:
        sending(explain(kill()))
        sending(incident(1))
        sending(explain_stuck(stuck()))
        sending(ended(stuck()))
        eventually(lambda: sending.counts.now().sent == 4)
        eventually(lambda: queue.depth() == 0)
        names = [each["eventName"].rpartition(".")[2] for each in receiver.records()]
    assert sorted(names) == ["kill", "oom", "stuck", "stuck"]
    assert dropped == []
