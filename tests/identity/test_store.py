# SPDX-License-Identifier: Apache-2.0
"""The store: bounded, gone names kept a while, and whole under many threads."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.identity.metadata import ContainerMetadata
from container_oomkill.identity.store import Store


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def known(number: int, **facts: str) -> ContainerMetadata:
    return ContainerMetadata(f"{number:064x}", "docker", **facts)  # type: ignore[arg-type]


def test_a_gone_container_is_known_for_ten_minutes() -> None:
    clock = Clock()
    store = Store(clock=clock)
    store.put(known(1, name="web"))
    store.gone(known(1).key())
    assert store.live() == ()
    clock.now += 599
    assert store.lookup(known(1).key()) == known(1, name="web")
    clock.now += 1
    assert store.lookup(known(1).key()) is None
    assert len(store) == 0


def test_one_that_comes_back_is_not_gone() -> None:
    store = Store()
    store.put(known(1, name="web"))
    store.gone(known(1).key())
    store.put(known(1, name="web2"))
    assert store.live() == (known(1, name="web2"),)
    store.gone(known(2).key())
    assert len(store) == 1


def test_room_is_made_by_the_longest_gone_then_the_longest_known() -> None:
    store = Store(capacity=3)
    for number in range(3):
        store.put(known(number))
    store.gone(known(2).key())
    store.put(known(3))
    assert store.lookup(known(2).key()) is None
    store.put(known(4))
    assert store.live() == (known(1), known(3), known(4))
    assert len(store) == 3


def test_the_fuller_knowledge_stays() -> None:
    store = Store()
    store.put(known(1, name="app", pod="cart"))
    store.put(known(1, name="k8s_app_cart"))
    assert store.lookup(known(1).key()) == known(1, name="app", pod="cart")
    store.put(known(1, name="app", pod="cart-2"))
    assert store.lookup(known(1).key()) == known(1, name="app", pod="cart-2")


def test_owners_do_not_mix() -> None:
    store = Store()
    store.put(ContainerMetadata("a" * 64, "podman", 1000, name="mine"))
    assert store.lookup((0, "a" * 64)) is None
    assert store.lookup((1001, "a" * 64)) is None


def test_threads() -> None:
    store = Store(capacity=50)

    def work(start: int) -> None:
        for number in range(start, start + 2000):
            store.put(known(number % 70))
            store.gone(known((number + 35) % 70).key())
            store.lookup(known(number % 70).key())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) <= 50


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["put", "name", "rename", "gone"]))))
def test_what_is_live_is_the_same_while_the_version_is(steps: list[tuple[int, str]]) -> None:
    store = Store(capacity=3)
    seen = {store.version(): store.live()}
    for number, step in steps:
        if step == "gone":
            store.gone(known(number).key())
        else:
            names = {} if step == "put" else {"name": step}
            store.put(known(number, **names))
        assert seen.setdefault(store.version(), store.live()) == store.live()


def test_what_is_known_already_makes_no_new_version() -> None:
    store = Store()
    store.put(known(1, name="web"))
    before = store.version()
    store.put(known(1, name="web"))
    store.gone(known(2).key())
    assert store.version() == before
