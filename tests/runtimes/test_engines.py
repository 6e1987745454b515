# SPDX-License-Identifier: Apache-2.0
"""Docker's and Podman's containers, killed for real: the record has the engine's own names."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB
from ..support.kernel.processes import COMMAND, Recorder
from ..support.runtimes.engines import LIMIT_MIB, Engine
from ..support.runtimes.image import IMAGE
from ..support.runtimes.running import busy, output, record_of, remove_cgroups

KILLED = 128 + signal.SIGKILL
GREEDY = "name greedy anon 64"
StartRecorder = Callable[..., Recorder]


def check(record: dict[str, Any], engine: Engine, container_id: str, name: str) -> None:
    """Compare a record with what the engine says of the container."""
    container = record["container"]
    assert container["name"] == name
    assert container["id"] == container_id
    assert len(container_id) == 64
    assert container["image"] == IMAGE
    assert container["runtime"] == engine.runtime
    assert record["scope"] == "container"
    assert record["domain"]["limit_bytes"] == LIMIT_MIB * MIB


def test_named_as_the_engine_names_it(engine: Engine, start_recorder: StartRecorder) -> None:
    recorder = start_recorder(*engine.options)
    started = engine.run("shop-cart", GREEDY)
    assert started.status() == KILLED
    told = engine.inspect("shop-cart")
    seen = record_of(recorder, told["Id"])
    check(seen, engine, told["Id"], told["Name"].removeprefix("/"))
    image = told["Config"]["Image"] if engine.runtime == "docker" else told["ImageName"]
    assert seen["container"]["image"] == image
    assert seen["victims"][0]["command"] == "greedy"
    assert seen["victims"][0]["pid_in_container"] == 1
    assert seen["trigger"]["container_id"] == told["Id"]


def test_removed_at_its_end_with_the_machine_busy(
    engine: Engine, start_recorder: StartRecorder
) -> None:
    recorder = start_recorder(*engine.options)
    right = 0
    with busy(2):
        for number in range(20):
            started = engine.run(f"gone-{number}", GREEDY, "--rm")
            assert started.status() == KILLED
            check(record_of(recorder, started.id()), engine, started.id(), f"gone-{number}")
            right += 1
    print(f"{engine.runtime} run --rm, machine busy: {right} of 20 named right")


def test_killed_within_the_first_moment(engine: Engine, start_recorder: StartRecorder) -> None:
    """Nobody waits: the hog is PID 1 and is killed as soon as it runs; nothing was learned yet."""
    recorder = start_recorder(*engine.options)
    started = engine.run("at-once", "anon 64", "--rm")
    assert started.status() == KILLED
    check(record_of(recorder, started.id()), engine, started.id(), "at-once")


def test_removed_before_its_record_is_read(engine: Engine, start_recorder: StartRecorder) -> None:
    recorder = start_recorder(*engine.options)
    started = engine.run("removed", "ready go " + GREEDY, "--rm").ready()
    time.sleep(1)  # is known by now
    recorder.process.send_signal(signal.SIGSTOP)
    assert started.go().status() == KILLED
    assert "removed" not in output(*engine.client, "ps", "-a", "--format", "{{.Names}}").split()
    recorder.process.send_signal(signal.SIGCONT)
    check(record_of(recorder, started.id()), engine, started.id(), "removed")


def test_started_before_the_probe(engine: Engine, start_recorder: StartRecorder) -> None:
    started = engine.run("early", "ready go " + GREEDY, "--rm").ready()
    recorder = start_recorder(*engine.options)
    time.sleep(0.5)  # it attaches first, learns the names then
    assert started.go().status() == KILLED
    check(record_of(recorder, started.id()), engine, started.id(), "early")


def test_renamed(engine: Engine, start_recorder: StartRecorder) -> None:
    recorder = start_recorder(*engine.options)
    started = engine.run("before", "ready go " + GREEDY).ready()
    time.sleep(1)  # is known by the old name
    output(*engine.client, "rename", "before", "after")
    try:
        started.go()
        assert started.status() == KILLED
        seen = record_of(recorder, started.id())
    finally:
        output(*engine.client, "rm", "-f", "after")
    check(seen, engine, started.id(), "after")


def test_twenty_at_once(engine: Engine, start_recorder: StartRecorder) -> None:
    recorder = start_recorder(*engine.options)
    names = [f"at-once-{number}" for number in range(20)]
    started = [engine.run(name, "ready go " + GREEDY, "--rm") for name in names]
    for each in started:
        each.ready()
    for each in started:
        each.go()
    assert [each.status() for each in started] == [KILLED] * 20
    left = {each.id(): each for each in started}
    assert len(left) == 20
    while left:
        seen = recorder.next()
        if found := left.pop(seen["container"]["id"], None):
            check(seen, engine, found.id(), found.name)


def test_a_child_of_its_first_process(engine: Engine, start_recorder: StartRecorder) -> None:
    recorder = start_recorder(*engine.options)
    started = engine.run("parent", "name first fork name second anon 64")
    assert started.status() == 0
    seen = record_of(recorder, started.id())
    check(seen, engine, started.id(), "parent")
    assert seen["victims"][0]["command"] == "second"
    assert seen["victims"][0]["pid_in_container"] > 1


def test_labels_claim_nothing(engine: Engine, start_recorder: StartRecorder) -> None:
    """A label may hold whatever an image's author likes."""
    recorder = start_recorder(*engine.options)
    labels = [
        "--label=io.kubernetes.pod.name=admin",
        "--label=io.kubernetes.container.name=admin",
        "--label=" + "x" * 9000 + "=" + "y" * 9000,
        "--label=a\nb=c\nd",
    ]
    started = engine.run("labelled", GREEDY, "--rm", *labels)
    assert started.status() == KILLED
    seen = record_of(recorder, started.id())
    check(seen, engine, started.id(), "labelled")
    assert seen["container"]["pod"] is None


@pytest.mark.parametrize("session_engine", ["docker"], indirect=True)
def test_in_a_pod_of_cri_dockerds(engine: Engine, start_recorder: StartRecorder) -> None:
    """With the name, the labels and the cgroup that a kubelet has it give a pod's container."""
    recorder = start_recorder(*engine.options)
    uid = "5b3f1c9e-7a42-4c0d-9e61-0f2d8a7b6c55"
    labels = {"container.name": "app", "pod.name": "cart-7d9f4", "pod.namespace": "shop"}
    labels["pod.uid"] = uid
    options = [f"--label=io.kubernetes.{key}={value}" for key, value in labels.items()]
    above = [f"/kubepods/burstable/pod{uid}", "/kubepods/burstable", "/kubepods"]
    if output(*engine.client, "info", "-f", "{{.CgroupDriver}}") == "systemd":
        above = [f"kubepods-burstable-pod{uid.replace('-', '_')}.slice"]
    try:
        name = f"k8s_app_cart-7d9f4_shop_{uid}_0"
        started = engine.run(name, GREEDY, f"--cgroup-parent={above[0]}", *options)
        assert started.status() == KILLED
        seen = record_of(recorder, started.id())
        check(seen, engine, started.id(), "app")
        found = seen["container"]
        assert (found["namespace"], found["pod"], found["pod_uid"]) == ("shop", "cart-7d9f4", uid)
    finally:
        engine.remove_all()
        remove_cgroups(*above)


@pytest.mark.parametrize("session_engine", ["docker"], indirect=True)
def test_by_its_socket_alone(engine: Engine, start_recorder: StartRecorder, tmp_path: Path) -> None:
    """No state is mounted; one container is there before, one comes, one is renamed."""
    before = engine.run("before", "ready go " + GREEDY, "--rm").ready()
    path = engine.client[-1].removeprefix("unix://")
    recorder = start_recorder(f"--state.docker={tmp_path}", f"--state.docker-socket={path}")
    renamed = engine.run("old", "ready go " + GREEDY, "--rm").ready()
    output(*engine.client, "rename", "old", "new")
    time.sleep(1)  # is known by now
    for started, name in ((before, "before"), (renamed, "new")):
        assert started.go().status() == KILLED
        check(record_of(recorder, started.id()), engine, started.id(), name)


@pytest.mark.parametrize("session_engine", ["podman"], indirect=True)
def test_in_a_pod_of_podmans(engine: Engine, start_recorder: StartRecorder) -> None:
    """Its name is in Podman's data base only, and stays unknown."""
    recorder = start_recorder(*engine.options)
    pod = output(*engine.client, "pod", "create", "--infra=false", "--name", "shop")
    try:
        started = engine.run("cart", GREEDY, "--pod", "shop")
        assert started.status() == KILLED
        assert engine.inspect("cart")["Pod"] == pod
        check(record_of(recorder, started.id()), engine, started.id(), "cart")
    finally:
        output(*engine.client, "pod", "rm", "-f", "shop")


def test_doctor_counts_them(engine: Engine) -> None:
    """As a user asks it."""
    for number in range(3):
        engine.run(f"known-{number}", "ready go").ready()
    report = json.loads(output(str(COMMAND), "doctor", "-o", "json", *engine.options))
    finding = report["findings"]["runtimes"][engine.runtime]
    assert finding["ok"]
    assert finding["words"].startswith("3 containers (")
