# SPDX-License-Identifier: Apache-2.0
"""Containers that come, go, change their names, and are asked for before they are seen."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from container_oomkill.identity.discovery import GIVE_UP_SECONDS, ContainerDiscovery
from container_oomkill.identity.folder_watch import FolderWatch
from container_oomkill.identity.inotify import Inotify
from container_oomkill.identity.metadata import ContainerMetadata, Key
from container_oomkill.identity.runtimes.docker import docker
from container_oomkill.identity.runtimes.sources import default_sources
from container_oomkill.identity.runtimes.state import StateError

from ..support.logged import logged
from ..support.trees import C, D, containerd_config, crio_config, docker_config, podman_entry, write
from ..support.waiting import eventually


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def name(watcher: ContainerDiscovery, container_id: str = C) -> str | None:
    known = watcher.store.lookup((0, container_id))
    return known.name if known else None


def settle(folder: Path) -> None:
    """Let the folder's time lie back, as that of one nobody has touched just now."""
    os.utime(folder, (time.time() - 10,) * 2)


def test_every_runtime_below_one_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["1" * 64, "2" * 64, "3" * 64, "4" * 64]
    write(tmp_path / f"var/lib/docker/containers/{ids[0]}/config.v2.json", docker_config(ids[0]))
    write(
        tmp_path / f"run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{ids[1]}/config.json",
        containerd_config(),
    )
    storage = "storage/overlay-containers"
    write(tmp_path / f"run/containers/{storage}/{ids[2]}/userdata/config.json", crio_config(ids[2]))
    write(tmp_path / f"var/lib/containers/{storage}/containers.json", [podman_entry(ids[3])])
    log = logged(monkeypatch)
    watcher = ContainerDiscovery(default_sources(root=str(tmp_path)))
    assert len(watcher.present()) == 4
    watcher.refresh()
    assert [name(watcher, each) for each in ids] == ["shop-cart-1", "app", "app", "web"]
    assert {known.runtime for known in watcher.store.live()} == {
        "docker",
        "containerd",
        "crio",
        "podman",
    }
    assert log == []


def test_come_and_go(tmp_path: Path) -> None:
    watcher = ContainerDiscovery([docker(str(tmp_path))])
    watcher.refresh()
    write(tmp_path / C / "config.v2.json", docker_config())
    watcher.refresh()
    assert name(watcher) == "shop-cart-1"
    write(tmp_path / D / "config.v2.json", docker_config(D))
    shutil.rmtree(tmp_path / C)
    watcher.refresh()
    assert [known.id for known in watcher.store.live()] == [D]
    assert name(watcher) == "shop-cart-1"  # still named
    shutil.rmtree(tmp_path)
    watcher.refresh()
    assert watcher.store.live() == ()


def test_a_folder_that_comes_later(tmp_path: Path) -> None:
    watcher = ContainerDiscovery([docker(str(tmp_path / "later"))])
    watcher.refresh()
    write(tmp_path / "later" / C / "config.v2.json", docker_config())
    watcher.refresh()
    assert name(watcher) == "shop-cart-1"


def test_a_change_in_the_tick_of_the_last_look_is_not_missed(tmp_path: Path) -> None:
    source = docker(str(tmp_path))
    watcher = ContainerDiscovery([source])
    watcher.refresh()
    then = time.time_ns()
    os.utime(tmp_path, ns=(then, then))
    watcher.refresh()
    write(tmp_path / C / "config.v2.json", docker_config())
    os.utime(tmp_path, ns=(then, then))  # the clock has not ticked
    watcher.refresh()
    assert name(watcher) == "shop-cart-1"


def test_an_idle_folder_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = docker(str(tmp_path))
    watcher = ContainerDiscovery([source])
    settle(tmp_path)
    watcher.refresh()
    monkeypatch.setattr(source, "keys", lambda: pytest.fail("listed"))
    watcher.refresh()


def test_a_file_that_comes_after_its_folder(tmp_path: Path) -> None:
    (tmp_path / C).mkdir()
    settle(tmp_path)
    watcher = ContainerDiscovery([docker(str(tmp_path))])
    watcher.refresh()
    watcher.refresh()
    assert name(watcher) is None
    write(tmp_path / C / "config.v2.json", docker_config())
    watcher.refresh()
    assert name(watcher) == "shop-cart-1"


def test_a_file_that_never_comes_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / C).mkdir()
    (tmp_path / D).mkdir()
    write(tmp_path / D / "config.v2.json", "{")
    settle(tmp_path)
    source = docker(str(tmp_path))
    log = logged(monkeypatch)
    clock = Clock()
    watcher = ContainerDiscovery([source], clock=clock)
    looks: list[Key] = []
    find: Callable[[Key], ContainerMetadata | None] = source.find

    def counted(key: Key) -> ContainerMetadata | None:
        looks.append(key)
        return find(key)

    source.find = counted  # type: ignore[method-assign]
    waits = []
    while clock.now <= 2 * GIVE_UP_SECONDS:
        watcher.refresh()
        waits.append(watcher.patience())
        clock.now += waits[-1]
    assert len(looks) < 2 * 25
    assert waits[0] < 0.05
    assert waits[-1] > GIVE_UP_SECONDS  # nothing is waited for any more
    assert waits == sorted(waits)
    del looks[:]
    clock.now = 60
    watcher.refresh()
    assert len(looks) == 2
    assert watcher.patience() == 60
    assert len(log) == 1
    assert log[0].endswith("config.v2.json: not_json")


def test_a_new_name_is_seen_by_the_rescan(tmp_path: Path) -> None:
    file = write(tmp_path / C / "config.v2.json", docker_config())
    settle(tmp_path)
    clock = Clock()
    watcher = ContainerDiscovery([docker(str(tmp_path))], clock=clock)
    watcher.refresh()
    write(tmp_path / C / "new", docker_config(Name="/renamed")).replace(file)
    watcher.refresh()
    assert name(watcher) == "shop-cart-1"
    clock.now += 60
    watcher.refresh()
    assert name(watcher) == "renamed"


def test_one_that_was_not_seen_yet_is_read_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path / C / "config.v2.json", docker_config())
    watcher = ContainerDiscovery([docker(str(tmp_path))])
    assert watcher.lookup(D) == "not_found"
    known = watcher.lookup(C)
    assert isinstance(known, ContainerMetadata)
    assert known.id == C
    shutil.rmtree(tmp_path / C)
    assert watcher.lookup(C) == known


def test_one_that_only_a_lookup_saw_goes_too(tmp_path: Path) -> None:
    clock = Clock()
    watcher = ContainerDiscovery([docker(str(tmp_path))], clock=clock)
    watcher.refresh()
    write(tmp_path / C / "config.v2.json", docker_config())
    write(tmp_path / D / "config.v2.json", docker_config(D))
    assert isinstance(watcher.lookup(C), ContainerMetadata)
    assert isinstance(watcher.lookup(D), ContainerMetadata)
    shutil.rmtree(tmp_path / C)
    clock.now += 60
    watcher.refresh()
    assert [known.id for known in watcher.store.live()] == [D]
    assert name(watcher) == "shop-cart-1"


def test_a_miss_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logged(monkeypatch)
    folder = tmp_path / "containers"
    watcher = ContainerDiscovery([docker(str(folder))])
    assert watcher.lookup(C) == "no_state"
    folder.mkdir()
    assert watcher.lookup(C) == "not_found"
    write(folder / C / "config.v2.json", "x" * (1 << 21))
    assert watcher.lookup(C) == "too_big"
    assert watcher.lookup(C) == "too_big"
    (folder / D).symlink_to(folder / C)
    assert watcher.lookup(D) == "symlink"
    assert len(log) == 2


def test_the_reason_is_that_of_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of a list of others, which is damaged too."""
    storage = tmp_path / "var/lib/containers/storage/overlay-containers"
    write(storage / "containers.json", "{")
    write(tmp_path / f"var/lib/docker/containers/{C}/config.v2.json", "x" * (1 << 21))
    log = logged(monkeypatch)
    watcher = ContainerDiscovery(default_sources(root=str(tmp_path)))
    assert watcher.lookup(C) == "too_big"
    assert len(log) == 2


def test_a_source_that_fails_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "b" / C / "config.v2.json", docker_config())
    bad = docker(str(tmp_path / "a"))
    (tmp_path / "a").write_text("not a folder")
    log = logged(monkeypatch)
    watcher = ContainerDiscovery([bad, docker(str(tmp_path / "b"))])
    watcher.refresh()
    assert name(watcher) == "shop-cart-1"
    assert isinstance(watcher.lookup(C), ContainerMetadata)
    assert len(log) == 1


def test_a_new_name_is_seen_by_a_lookup(tmp_path: Path) -> None:
    file = write(tmp_path / C / "config.v2.json", docker_config())
    watcher = ContainerDiscovery([docker(str(tmp_path))])
    watcher.refresh()
    write(tmp_path / C / "new", docker_config(Name="/renamed")).replace(file)
    known = watcher.lookup(C)
    assert isinstance(known, ContainerMetadata)
    assert known.name == "renamed"
    write(tmp_path / C / "new", "{").replace(file)
    assert watcher.lookup(C) == known
    shutil.rmtree(tmp_path / C)
    assert watcher.lookup(C) == known


def test_the_thread_learns_at_once(tmp_path: Path) -> None:
    """No interval is short enough for this: it is inotify."""
    folder = tmp_path / "var" / "containers"  # is not there yet
    with ContainerDiscovery([docker(str(folder))], interval=600) as watcher:
        time.sleep(0.1)
        write(folder / C / "config.v2.json", docker_config())
        eventually(lambda: name(watcher) == "shop-cart-1")
        shutil.rmtree(folder)
        eventually(lambda: watcher.store.live() == ())
        write(folder / D / "config.v2.json", docker_config(D))
        eventually(lambda: name(watcher, D) == "shop-cart-1")
        folder.rename(tmp_path / "old")
        folder.mkdir()
        eventually(lambda: watcher.store.live() == ())
        write(folder / C / "config.v2.json", docker_config())
        eventually(lambda: len(watcher.store.live()) == 1)
    watcher.close()


def test_lost_events_cause_a_rescan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / C / "config.v2.json", docker_config())
    read = Inotify.read
    monkeypatch.setattr(Inotify, "read", lambda self: [read(self)] != [])  # always: some are lost
    with ContainerDiscovery([docker(str(tmp_path))]) as watcher:
        eventually(lambda: name(watcher) == "shop-cart-1")
        write(tmp_path / C / "new", docker_config(Name="/renamed")).replace(file)  # not seen
        (tmp_path / "something else").touch()
        eventually(lambda: name(watcher) == "renamed")


def test_the_thread_without_inotify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> Inotify:
        raise OSError(errno.EMFILE, "make an inotify instance: too many open files")

    monkeypatch.setattr(FolderWatch.__init__, "__kwdefaults__", {"interval": 2.0, "make": refused})
    log = logged(monkeypatch)
    with ContainerDiscovery([docker(str(tmp_path))], interval=0.01) as watcher:
        time.sleep(0.05)
        write(tmp_path / C / "config.v2.json", docker_config())
        eventually(lambda: name(watcher) == "shop-cart-1")
    assert len(log) == 1
    assert log[0].endswith(
        ": make an inotify instance: too many open files: looking every 0.01 s instead"
    )


def test_the_thread_sleeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    refresh = ContainerDiscovery.refresh

    def counted(self: ContainerDiscovery) -> None:
        looks.append(1)
        refresh(self)

    monkeypatch.setattr(ContainerDiscovery, "refresh", counted)
    with ContainerDiscovery(default_sources(root=str(tmp_path), users=None)):
        eventually(lambda: looks)
        time.sleep(0.5)
    assert len(looks) == 1


def test_a_dead_thread_is_not_passed_over(tmp_path: Path) -> None:
    source = docker(str(tmp_path))

    def broken() -> set[Key]:
        raise RuntimeError("a bug")

    source.keys = broken  # type: ignore[method-assign]
    with ContainerDiscovery([source]) as watcher:
        eventually(lambda: watcher.worker.failure is not None)
        with pytest.raises(RuntimeError, match="a bug"):
            watcher.lookup(C)


def test_state_errors_are_no_bugs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = docker(str(tmp_path))

    def unreadable() -> set[Key]:
        raise StateError("denied", str(tmp_path))

    source.keys = unreadable  # type: ignore[method-assign]
    log = logged(monkeypatch)
    watcher = ContainerDiscovery([source])
    watcher.refresh()
    watcher.refresh()
    assert log == [f"container-oomkill: read container state: {tmp_path}: denied"]
