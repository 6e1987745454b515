# SPDX-License-Identifier: Apache-2.0
"""Counters and last kills by container: zero first, never mixed up, expiring, bounded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from container_oomkill.incident.model import Container, Incident, Rss
from container_oomkill.metrics.metrics import label_values
from container_oomkill.metrics.series import COUNTER_EXPIRY_SECONDS, COUNTERS_PER_CONTAINER

from ..support.incidents import Clock, container, incident, victim
from ..support.scraping import make, samples, value


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


MADE_UP = 60


def kill_of_user(number: int, uid: int = 1000) -> Incident:
    """In a cgroup that a user has made, as systemd delegates them, by any name."""
    slices = f"/user.slice/user-{uid}.slice/user@{uid}.service"
    cgroup = f"{slices}/evil-{number}.scope"
    return incident(container=Container(), victims=(victim(cgroup=cgroup),))


def kill_in_namespace(number: int) -> Incident:
    pod = Container(id="ef" * 32, name="app", pod=f"evil-{number}", namespace="evil")
    return incident(container=pod)


@pytest.mark.parametrize("made_up", [kill_of_user, kill_in_namespace], ids=["user", "namespace"])
def test_names_that_one_makes_up_push_out_only_their_own(
    made_up: Callable[[int], Incident],
) -> None:
    metrics = make(max_containers=10)
    others = ["a", "b", "c"]
    for name in others:
        metrics(incident(container=Container(id="ab" * 32, name=name, namespace=f"of-{name}")))
    metrics(kill_of_user(MADE_UP, uid=1001))
    for number in range(MADE_UP):
        metrics(made_up(number))
    for name in others:
        kept = {"container": name, "namespace": f"of-{name}"}
        assert value(metrics, "container_oomkill_last_timestamp_seconds", **kept) is not None
        assert value(metrics, "container_oomkill_total", scope="container", **kept) == 1
    other_users = f"evil-{MADE_UP}.scope"
    assert value(metrics, "container_oomkill_last_timestamp_seconds", container=other_users)
    evicted = "container_oomkill_series_evicted_total"
    assert value(metrics, evicted, kind="last_kill") == MADE_UP + 4 - 10
    assert value(metrics, evicted, kind="counters") == MADE_UP + 4 - 40


def test_kills_of_before_are_bounded() -> None:
    metrics = make(max_containers=3)
    for number in range(5):
        metrics.earlier(("", "", f"evil-{number}.scope"), 1, 0)
    shown = [
        labels for name, labels in samples(metrics) if name == "container_oomkill_earlier_kills"
    ]
    assert len(shown) == 3
    assert value(metrics, "container_oomkill_series_evicted_total", kind="counters") == 2


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
        (Container(), "…/x/bank", ("", "", "unknown")),
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


def test_a_container_replaced_by_another_of_its_name_stays_known() -> None:
    metrics = make()
    labels = ("shop", "cart-7d9f4", "app")
    metrics.register(labels)
    metrics.register(labels)  # the next one, before the first is gone
    metrics.forget(labels)
    assert value(metrics, "container_oomkill_total", scope="container") == 0
    metrics.forget(labels)
    assert value(metrics, "container_oomkill_total", scope="container") is None


def test_what_has_a_new_name_at_each_start_is_one_series() -> None:
    """A Swarm task, a Job's pod, a transient unit: else no kill increases any."""
    metrics = make()
    given = [
        [
            container(f"shop_web.1.task{n}", service="shop_web", pod=None, namespace=None)
            for n in "ab"
        ],
        [container("app", pod=f"nightly-{n}", workload="CronJob/nightly") for n in "ab"],
        [
            Container(name=f"run-p{n}-i{n}.scope", service="run-*.scope", runtime="systemd")
            for n in "12"
        ],
    ]
    for first, second in given:
        metrics(incident(1, container=first))
        metrics(incident(2, container=second))
    name = "container_oomkill_total"
    assert value(metrics, name, container="shop_web", workload="shop_web", scope="container") == 2
    of = {"container": "app", "pod": "nightly", "workload": "CronJob/nightly"}
    assert value(metrics, name, namespace="shop", scope="container", **of) == 2
    of = {"container": "run-*.scope", "workload": "run-*.scope"}
    assert value(metrics, name, scope="container", **of) == 2
    info = "container_oomkill_last_info"
    assert value(metrics, info, container="shop_web", container_name="shop_web.1.taskb") == 1
    assert value(metrics, info, pod="nightly", pod_name="nightly-b", container_name="app") == 1
    assert value(metrics, info, container_name="run-p2-i2.scope") == 1


def test_a_pod_that_is_started_again_keeps_its_name() -> None:
    metrics = make()
    metrics(incident(container=container("app", workload="Deployment/cart")))
    of = {"pod": "cart-7d9f4", "workload": "Deployment/cart", "scope": "container"}
    assert value(metrics, "container_oomkill_total", **of) == 1


def test_a_workload_that_is_told_late_does_not_split_a_series() -> None:
    metrics = make()
    metrics.register(("shop", "cart-7d9f4", "app"))
    zero = {"container": "app", "scope": "container"}
    assert value(metrics, "container_oomkill_total", workload="", **zero) == 0
    metrics.register(("shop", "cart-7d9f4", "app"), "Deployment/cart")
    assert value(metrics, "container_oomkill_total", workload="Deployment/cart", **zero) == 0
    metrics(incident())  # the API did not answer in time
    assert value(metrics, "container_oomkill_total", workload="Deployment/cart", **zero) == 1


def test_a_units_workload_is_itself() -> None:
    metrics = make()
    metrics(incident(container=Container(name="cron.service", runtime="systemd")))
    of = {"container": "cron.service", "workload": "cron.service", "scope": "container"}
    assert value(metrics, "container_oomkill_total", **of) == 1


def test_a_workloads_name_is_escaped() -> None:
    metrics = make()
    metrics(incident(container=container("app", workload='Pod/"a\\b\n')))
    of = {"workload": 'Pod/"a\\b\\n', "scope": "container"}
    assert value(metrics, "container_oomkill_total", **of) == 1


def test_the_last_kill_has_the_workload_of_its_counters() -> None:
    """One filter finds both, also where it is a service or was told late."""
    metrics = make()
    metrics(incident(container=container("web", service="shop/web")))
    metrics.register(("shop", "cart-7d9f4", "app"), "Deployment/cart")
    metrics(incident())  # the API did not answer in time
    info = "container_oomkill_last_info"
    assert value(metrics, info, container="shop/web", workload="shop/web") == 1
    assert value(metrics, info, container="app", workload="Deployment/cart") == 1


def test_the_last_kill_names_its_incident() -> None:
    metrics = make()
    for sequence in (1, 2):
        each = incident(sequence)
        metrics(each)
        assert value(metrics, "container_oomkill_last_info", incident=each.id) == 1
    assert value(metrics, "container_oomkill_last_info", incident=incident(1).id) is None
