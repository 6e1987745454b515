# SPDX-License-Identifier: Apache-2.0
"""Scripted node-wide kills, one after the other, before one exporter with a cluster's API.

Who holds most and who is furthest over its request is drawn anew each time; the kernel's log judges
the sums. `make node-kills` has twenty of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.probe.kernel_counts import read_kernel_kills

from ..support import api_server
from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.exporter import Exporter, incidents, start
from ..support.kernel.huge_pages import little_memory
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.node_judging import OVERSHARE, assert_adds_up
from ..support.kernel.processes import Hog
from ..support.waiting import eventually

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

pytestmark = [
    pytest.mark.needs("guest"),
    pytest.mark.needs("the API's extra"),
    pytest.mark.needs("the whole matrix"),
]

KUBECONFIG = """\
current-context: here
contexts: [{{name: here, context: {{cluster: here}}}}]
clusters: [{{name: here, cluster: {{server: "{url}"}}}}]
"""

REQUESTS = {1: 16, 2: 32, 3: 128, 4: 0}  # of a pod, MiB; 0: none
HOST = 0  # what is in no pod, which nothing was requested for
CLEAR_MIB = 16  # between the first and the second
# More than the one that is killed gets, and over a request what the verdict speaks of: a twentieth
# of the node. All together fit into a guest of 1 GiB.
LARGEST_MIB, OVER_MIB = range(128, 144, 4), range(64, 76, 4)
OTHER_MIB = range(8, 24, 4)
LARGEST = re.compile(r"(?:was held by|largest shares were) (\S+) ")
OVER = re.compile(r"; (\S+) used \S+ \S+ (?:more than its|with no memory) request")

Held = Mapping[int, int]


def called(number: int) -> str:
    return f"shop/cart-7d9f4-{number}/app" if number != HOST else "oomkill-host"


def over(held: Held) -> dict[int, int]:
    return {number: held[number] - request for number, request in REQUESTS.items()}


def is_clear(amounts: Held) -> bool:
    first, second, *_ = sorted(amounts.values(), reverse=True)
    return first - second >= CLEAR_MIB


def first_of(amounts: Held) -> int:
    return max(amounts, key=lambda number: amounts[number])


def draw(chance: random.Random) -> Held:
    """How much each holds, MiB, so that one is the first in both, mostly not the same."""
    while True:
        held = {number: chance.choice(OTHER_MIB) for number in (HOST, *REQUESTS)}
        further = chance.choice((1, 2))
        held[further] = REQUESTS[further] + chance.choice(OVER_MIB)
        held[chance.choice((HOST, *REQUESTS))] = chance.choice(LARGEST_MIB)
        if is_clear(held) and is_clear(over(held)):
            return held


@pytest.fixture
def cluster() -> api_server.Cluster:
    cluster = api_server.Cluster()
    for number, request in REQUESTS.items():
        pod = api_server.pod(number)
        if request:
            pod["spec"]["containers"][0]["resources"] = {"requests": {"memory": f"{request}Mi"}}
        cluster.put(pod)
    return cluster


@pytest.fixture
def exporter(hook: str, cluster: api_server.Cluster, tmp_path: Path) -> Iterator[Exporter]:
    with api_server.serving(cluster) as url, ExitStack() as stack:
        config = tmp_path / "kubeconfig"
        config.write_text(KUBECONFIG.format(url=url))
        options = ["--kubernetes", "--kubernetes.events", f"--kubeconfig={config}"]
        options += [f"--kubernetes.node={api_server.NODE}", "--host-root", str(tmp_path)]
        log = stack.enter_context((tmp_path / "log").open("w"))
        process = stack.enter_context(start(hook, *options, stdout=log))
        stack.callback(process.kill)
        assert process.stderr is not None
        words = process.stderr.readline()
        assert "listening on " in words, words + process.stderr.read()
        eventually(lambda: cluster.requests(api_server.WATCH))
        yield Exporter(process, words.split()[-1])


@pytest.fixture
def holders(make_cgroups: MakeCgroups) -> dict[int, Cgroup]:
    """A container's cgroup of each pod, and one of the host's; all without a limit."""
    paths = ["/kubepods", "/kubepods/burstable"]
    for number in REQUESTS:
        paths.append(f"/kubepods/burstable/pod{api_server.uid(number)}")
        paths.append(f"{paths[-1]}/{api_server.container_id(number)}")
    made = {cgroup.path: cgroup for cgroup in make_cgroups(*paths)}
    containers = {
        number: made[next(path for path in made if path.endswith(api_server.container_id(number)))]
        for number in REQUESTS
    }
    (host,) = make_cgroups("/oomkill-host")
    return {HOST: host, **containers}


def assert_sums(memory: dict[str, Any], log: KernelLog) -> None:
    """What is charged by row, what is charged to nobody, and what is free: all there is."""
    assert_adds_up(memory, log)
    if not log.memory:
        return
    free = log.memory["free"] + log.memory["free_pcp"]
    whole = log.memory["ram"] - log.memory["reserved"]
    rows = sum(each["usage_bytes"] for each in memory["cgroups"])
    charged = rows + memory["other_cgroups_bytes"] + memory["gone_bytes"]
    nobodys = memory["total_bytes"] - memory["free_bytes"] - (memory["free_pcp_bytes"] or 0)
    nobodys -= memory["charged_bytes"]
    assert nobodys >= 0
    assert abs(charged + nobodys + free - whole) <= whole // OVERSHARE


def kills_by_its_event(cluster: api_server.Cluster) -> int:
    found = (each for each in cluster.events() if each["involvedObject"]["kind"] == "Node")
    return sum(each["count"] for each in found)


def kernel_kills() -> int:
    kills = read_kernel_kills()
    assert kills is not None
    return kills


def told_of(exporter: Exporter, pid: int) -> dict[str, Any]:
    (record,) = eventually(lambda: incidents(exporter, pid))
    assert isinstance(record, dict)
    return record


def test_the_largest_and_the_furthest_over_its_request(
    exporter: Exporter,
    cluster: api_server.Cluster,
    holders: dict[int, Cgroup],
    make_cgroups: MakeCgroups,
    hog: StartHog,
    kernel_log: KernelLog,
    request: pytest.FixtureRequest,
) -> None:
    (small,) = make_cgroups("/oomkill-small")
    rounds, chance = request.config.getoption("--node-kills"), random.Random(23)
    before = kernel_kills()
    for number in range(1, rounds + 1):
        held = draw(chance)
        hogs = [
            hog(holders[each], f"adj -1000 anon {mib} ready wait") for each, mib in held.items()
        ]
        for each in hogs:
            each.ready()
        with little_memory():
            victim = hog(small, "name unlucky adj 1000 anon 250")
            assert victim.was_killed()
            record = told_of(exporter, victim.pid)  # which has the huge pages of now
        for each in hogs:
            each.close()
        kernel_log.killed(victim.pid)
        assert record["scope"] == "node"
        memory, verdict = record["node_memory"], record["verdict"]
        print(number, held, memory["read_seconds"], verdict)
        assert_sums(memory, kernel_log)
        largest, furthest = LARGEST.search(verdict), OVER.search(verdict)
        assert largest is not None
        assert furthest is not None
        assert largest[1].endswith(called(first_of(held)).removeprefix("oomkill-"))
        assert furthest[1] == called(first_of(over(held)))
        rows = {row["container"]["id"]: row["usage_bytes"] for row in memory["cgroups"]}
        for pod in REQUESTS:
            usage = rows[api_server.container_id(pod)]
            assert held[pod] * MIB <= usage <= (held[pod] + 8) * MIB
    assert exporter.is_ready()
    # The kernel's own race may have had more killed than one a round: see huge_pages.
    assert eventually(lambda: kills_by_its_event(cluster) == kernel_kills() - before)
    assert kernel_kills() - before >= rounds
