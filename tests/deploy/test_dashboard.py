# SPDX-License-Identifier: Apache-2.0
"""The dashboard asks a real Prometheus about three nodes of two clusters, and is answered rightly.

The kills are recorded ones (tests/data/reports), served by three exporters: two of one cluster by
their nodes' names, one of another by its address, with a container of the same names as another.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.metrics.table import INCIDENTS, KILLS, LAST_INFO, LAST_KILL

from ..support.dashboard import (
    ALL,
    DASHBOARD,
    EXPRESSIONS,
    FILTERS,
    PATH,
    RESOLUTION,
    filled,
    panels,
    variable,
)
from ..support.exporter_process import Child
from ..support.exporter_process import running as exporter
from ..support.manifests import DEPLOY, tool
from ..support.prometheus import Prometheus, needs_prometheus
from ..support.prometheus import running as prometheus
from ..support.waiting import eventually

REPORTS = Path(__file__).parents[1] / "data" / "reports"
CART = {"namespace": "shop", "pod": "cart-1", "name": "app", "workload": "Deployment/cart"}
LEDGER = {"namespace": "bank", "pod": "ledger-0", "name": "db", "workload": "StatefulSet/ledger"}
CACHE = {"namespace": "shop", "pod": "cache-0", "name": "rclone", "workload": "Deployment/cache"}
STEP = 2  # seconds of a bar
EXTERNAL_URL = "https://oom.example.com/node-1"
# Which filters are labels of a metric, beside cluster and node.
LABELLED: dict[str, Sequence[str]] = {
    **{row.sample: FILTERS[2:3] for row in LAST_KILL},
    **{row.sample: FILTERS[2:] for row in (KILLS, INCIDENTS, LAST_INFO)},
}

CONFIG = """\
global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}
scrape_configs:
  - job_name: container-oomkill
    honor_labels: true
    static_configs:
{targets}
"""
LEAK = {"shape": "leak", "growth_bytes_per_second": 20480.0, "at_limit_seconds": 12.5}
TARGET = '      - {{ targets: ["{address}"], labels: {{ cluster: {cluster}{instance} }} }}\n'


@dataclass(frozen=True)
class Kill:
    """One recorded incident, as it was told to an exporter; ``where``: cluster and instance."""

    where: tuple[str, str]
    record: dict[str, Any]
    times: int = 1

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.record["container"]
        return found

    def has(self, filters: dict[str, str]) -> bool:
        cluster, node = self.where
        labels = {"cluster": cluster, "node": node}
        labels |= {name: self.container[name] for name in ("namespace", "workload")}
        return all(re.fullmatch(value, labels[name]) for name, value in filters.items())


@dataclass(frozen=True)
class Fleet:
    server: Prometheus
    kills: list[Kill]  # in the order of their times
    since: float
    west: str  # the instance that is an address
    incidents: dict[str, str] = field(default_factory=dict)  # ids by command

    def of(self, name: str, **variables: str) -> list[tuple[dict[str, str], float]]:
        """What an expression of the dashboard gives now: labels and value."""
        found = self.server.query(filled(EXPRESSIONS[name], **variables))
        return [(each["metric"], float(each["value"][1])) for each in found]

    def number(self, name: str, **variables: str) -> float | None:
        found = self.of(name, **variables)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def bars(self, name: str, **variables: str) -> dict[str, float]:
        """The sum of each series' bars, by its labels' values."""
        expression = filled(EXPRESSIONS[name], interval=f"{STEP}s", **variables)
        start = self.since - self.since % STEP - STEP
        end = time.time() // STEP * STEP + STEP
        data = self.server.get(
            "/api/v1/query_range",
            query=expression,
            start=f"{start}",
            end=f"{end}",
            step=f"{STEP}",
        )
        return {
            " ".join(each["metric"].values()): sum(float(value) for _, value in each["values"])
            for each in data["result"]
        }

    def incident(self, kill: Kill) -> str:
        """Its id, by the only table that has them all; an exporter gives it."""
        command = kill.record["victims"][0]["command"]
        if command not in self.incidents:
            self.incidents[command] = self._incident(kill)
        return self.incidents[command]

    def _incident(self, kill: Kill) -> str:
        cluster, node = kill.where

        def rows() -> list[dict[str, str]]:
            return [
                labels
                for labels, _ in self.of("Incidents: pick one: A", cluster=cluster, node=node)
                if labels["command"] == kill.record["victims"][0]["command"]
            ]

        row: dict[str, str]
        (row,) = eventually(rows)
        return row["incident"]


def record(report: str, container: dict[str, str], command: str) -> dict[str, Any]:
    """A recorded incident, under other names."""
    found: dict[str, Any] = json.loads((REPORTS / f"{report}.json").read_text())
    found["container"] |= container
    found["victims"][0]["command"] = command
    return found


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack:
        one = stack.enter_context(exporter(f"--web.external-url={EXTERNAL_URL}"))
        two, west = (stack.enter_context(exporter()) for _ in range(2))
        targets = (
            TARGET.format(address=one.address, cluster="east", instance=", instance: node-1"),
            TARGET.format(address=two.address, cluster="east", instance=", instance: node-2"),
            TARGET.format(address=west.address, cluster="west", instance=""),
        )
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(targets="".join(targets)))
        server, _ = stack.enter_context(prometheus(folder, config))
        eventually(lambda: server.value("sum(up)") == 3)
        since = time.time()
        told = Told(server)
        told.register(one, CART)
        told.register(two, LEDGER)
        # Twice the same container: a pick of the first must not show the second.
        first = record("shared_mapping", CART, "first")
        first["before"] = LEAK
        told.kill(("east", "node-1"), one, first)
        told.kill(("east", "node-1"), one, record("sock_over_limit", CART, "second"))
        # Three at once, of which a scrape sees the last.
        told.kill(("east", "node-2"), two, record("resize_3_percent", LEDGER, "thrice"), times=3)
        # The same names as in the other cluster, and a container nobody knew before.
        told.kill(("west", west.address), west, record("tmpfs_left_behind", CART, "namesake"))
        told.kill(("west", west.address), west, record("packet_mmap", CACHE, "unknown-before"))
        yield Fleet(server, told.kills, since, west.address)


class Told:
    """Tells exporters of kills, and waits until Prometheus has each."""

    def __init__(self, server: Prometheus) -> None:
        self.server = server
        self.kills: list[Kill] = []

    def register(self, child: Child, container: dict[str, str]) -> None:
        names = [container[name] for name in ("name", "namespace", "pod", "workload")]
        child.tell("register " + " ".join(names))
        counter = f'container_oomkill_incidents_total{{workload="{container["workload"]}"}}'
        eventually(lambda: self.server.query(counter))

    def kill(
        self, where: tuple[str, str], child: Child, record: dict[str, Any], times: int = 1
    ) -> None:
        line = json.dumps(record)
        for _ in range(times):
            child.tell(f"record {line}")
        command = record["victims"][0]["command"]
        info = f'container_oomkill_last_info{{command="{command}"}}'
        # Longer than what the dashboard looks for: of two within that, it shows the last.
        eventually(lambda: self.server.query(f"count_over_time({info}[1m]) >= 8"))
        self.kills.append(Kill(where, record, times))


def total(kills: list[Kill]) -> int:
    return sum(kill.times for kill in kills)


FILTERED: list[dict[str, str]] = [
    {},
    {"cluster": "east"},
    {"cluster": "west"},
    {"cluster": "east|west"},
    {"node": "node-2"},
    {"node": "node-1|node-2", "namespace": "shop"},
    {"namespace": "bank"},
    {"namespace": "shop", "workload": "Deployment/cart"},
    {"workload": "Deployment/cache"},
    {"cluster": "west", "workload": "StatefulSet/ledger"},
]


@needs_prometheus
class TestAgainstPrometheus:
    @pytest.mark.parametrize("filters", FILTERED, ids=str)
    def test_numbers(self, fleet: Fleet, filters: dict[str, str]) -> None:
        """Whole, with each filter, and the same in the stats, the bars and the table."""
        kills = [kill for kill in fleet.kills if kill.has(filters)]
        wanted = float(total(kills)) or None
        eventually(lambda: fleet.number("Incidents: A", **filters) == wanted)
        names = {(kill.where[0], kill.container["pod"]) for kill in kills}
        assert fleet.number("Containers hit: A", **filters) == (len(names) or None)
        nodes = {kill.where for kill in kills if kill.record["scope"] == "node"}
        assert fleet.number("Nodes out of memory: A", **filters) == (len(nodes) or None)
        rows = {labels["command"] for labels, _ in fleet.of("Incidents: pick one: A", **filters)}
        assert rows == {kill.record["victims"][0]["command"] for kill in kills}
        scopes: dict[str, int] = {}
        workloads: dict[str, int] = {}
        for kill in kills:
            scope = kill.record["scope"]
            scopes[scope] = scopes.get(scope, 0) + kill.times
            name = f"{kill.container['namespace']} {kill.container['workload']}"
            workloads[name] = workloads.get(name, 0) + kill.times
        assert fleet.bars("Incidents by what ran out: {{scope}}", **filters) == scopes
        by_workload = "Incidents by namespace and workload: {{namespace}} {{workload}}"
        assert fleet.bars(by_workload, **filters) == workloads

    @pytest.mark.parametrize("name", EXPRESSIONS)
    def test_every_expression(self, fleet: Fleet, name: str) -> None:
        """It is understood, shows something, and nothing that a filter excludes."""
        picked = fleet.incident(fleet.kills[0])
        # An interval that has all kills.
        eventually(lambda: fleet.of(name, incident=picked, interval="1h"))
        known = {"node": "instance"}
        asked = name.removeprefix("$")
        # A variable is filtered by those before it.
        before = FILTERS[: FILTERS.index(asked)] if asked in FILTERS else FILTERS
        for filters in FILTERED:
            for labels, _ in fleet.of(name, incident=picked, interval="1h", **filters):
                for each in filters.keys() & before:
                    if (found := labels.get(known.get(each, each))) is not None:
                        assert re.fullmatch(filters[each], found), (filters, labels)

    @pytest.mark.parametrize("number", range(5))
    def test_an_incident_is_shown_as_it_was(self, fleet: Fleet, number: int) -> None:
        """Also one that another of the same container followed: never a mix of two."""
        kill = fleet.kills[number]
        picked = fleet.incident(kill)
        domain, victim = kill.record["domain"], kill.record["victims"][0]
        stat = (domain or {}).get("stat") or {}
        files = stat.get("file_bytes")
        wanted = {
            "Where the memory was: anonymous": stat.get("anon_bytes"),
            "Where the memory was: files": files and files - stat["shmem_bytes"],
            "Where the memory was: tmpfs, shared": stat.get("shmem_bytes"),
            "Where the memory was: kernel": stat.get("kernel_bytes"),
            "Where the memory was: sockets": stat.get("sock_bytes"),
            "The killed process: anonymous": victim["rss"]["anon_bytes"],
            "The killed process: files": victim["rss"]["file_bytes"],
            "The killed process: tmpfs, shared": victim["rss"]["shmem_bytes"],
            "The killed process: swap": victim["swap_bytes"],
            "The killed process: page tables": victim["pagetables_bytes"],
            "Numbers: used": domain and domain["usage_bytes"],
            "Numbers: limit": domain and domain["limit_bytes"],
            "Numbers: peak of the process": victim["vm"]["hiwater_rss_bytes"],
            "Numbers: ran for": victim["uptime_seconds"],
            "Numbers: growth": (kill.record.get("before") or {}).get("growth_bytes_per_second"),
            "Numbers: at its limit for": (kill.record.get("before") or {}).get("at_limit_seconds"),
            "Numbers: oom_score_adj": victim["oom_score_adj"],
        }
        found = {name: fleet.number(name, incident=picked) for name in wanted}
        assert found == wanted
        (facts,) = fleet.of("Who, where, and its page: A", incident=picked)
        assert facts[0]["image"] == kill.container["image"]
        assert facts[0]["trigger_command"] == kill.record["trigger"]["command"]
        assert (facts[0]["cluster"], facts[0]["instance"]) == kill.where
        assert facts[0].get("shape") == (kill.record.get("before") or {}).get("shape")

    def test_limits_are_in_the_list(self, fleet: Fleet) -> None:
        found = {labels["incident"]: value for labels, value in fleet.of("Incidents: pick one: B")}
        wanted = {
            fleet.incident(kill): kill.record["domain"]["limit_bytes"]
            for kill in fleet.kills
            if kill.record["domain"] is not None
        }
        assert found == wanted

    def test_all_columns_of_the_list_are_one_row(self, fleet: Fleet) -> None:
        """Grafana merges what has the same labels."""
        times, limits, growths = (
            {frozenset(labels.items()) for labels, _ in fleet.of(f"Incidents: pick one: {each}")}
            for each in "ABC"
        )
        assert limits < times
        assert growths < times

    def test_shape_and_growth_are_in_the_list(self, fleet: Fleet) -> None:
        ((labels, growth),) = fleet.of("Incidents: pick one: C")
        assert labels["incident"] == fleet.incident(fleet.kills[0])
        assert (labels["shape"], growth) == (LEAK["shape"], LEAK["growth_bytes_per_second"])
        others = [each for each, _ in fleet.of("Incidents: pick one: A") if each != labels]
        assert len(others) == len(fleet.kills) - 1
        assert not any("shape" in each for each in others)

    def test_the_variable_offers_the_newest_first(self, fleet: Fleet) -> None:
        expression = variable("incident")["regex"].strip("/").replace("(?<", "(?P<")
        offered = []
        for labels, value in fleet.of("$incident"):
            # As Grafana writes a series before it applies the regular expression.
            inside = ",".join(f'{name}="{text}"' for name, text in labels.items())
            match = re.search(expression, f"{{{inside}}} {value} 1790000000000")
            assert match, inside
            offered.append((match["text"], match["value"]))
        assert offered == [
            (
                "/".join(kill.container[part] for part in ("namespace", "pod", "name")),
                fleet.incident(kill),
            )
            for kill in reversed(fleet.kills)
        ]

    def test_a_name_without_namespace_and_pod(self) -> None:
        """Of Docker's: no slashes before it."""
        assert '"who", "$1", "who", "/*(.*)"' in EXPRESSIONS["$incident"]

    def test_annotations_are_at_the_time_of_the_kill(self, fleet: Fleet) -> None:
        (annotation,) = DASHBOARD["annotations"]["list"]
        assert annotation["useValueForTime"]
        assert annotation["target"]["expr"] == annotation["expr"]
        found = {labels["incident"]: value for labels, value in fleet.of("annotation OOM kills")}
        for kill in fleet.kills[1:]:  # the first is no longer its container's last
            assert 0 <= found[fleet.incident(kill)] / 1000 - fleet.since < 600

    def test_pages(self, fleet: Fleet) -> None:
        """By the address people use, else the scraped one; never by a node's name alone."""
        urls = {}
        for kill in fleet.kills:
            (facts,) = fleet.of("Who, where, and its page: A", incident=fleet.incident(kill))
            urls[kill.where] = facts[0].get("url")
        assert urls[("west", fleet.west)] == f"http://{fleet.west}"
        assert urls[("east", "node-2")] is None
        assert urls[("east", "node-1")] == EXTERNAL_URL

    def test_what_is_wrong_is_counted(self, fleet: Fleet) -> None:
        assert fleet.number("Nodes not watched: A") == 0
        assert fleet.number("Kills not recorded: A") == 0


@needs_prometheus
def test_a_node_that_is_not_watched_counts(tmp_path: Path) -> None:
    """One exporter is down, one has lost records."""
    with ExitStack() as stack:
        child = stack.enter_context(exporter())
        child.tell("lost")
        dead = "127.0.0.1:1"
        config = tmp_path / "prometheus.yml"
        targets = "".join(
            TARGET.format(address=address, cluster="east", instance="")
            for address in (child.address, dead)
        )
        config.write_text(CONFIG.format(targets=targets))
        server, _ = stack.enter_context(prometheus(tmp_path, config))
        eventually(lambda: server.value("sum(up) == 1 and count(up) == 2"))
        assert server.value(filled(EXPRESSIONS["Nodes not watched: A"])) == 1
        lost = filled(EXPRESSIONS["Kills not recorded: A"])
        eventually(lambda: server.query("container_oomkill_lost_total"))
        child.tell("lost")
        eventually(lambda: (server.value(lost) or 0) >= 1)


class TestTheFile:
    @pytest.mark.parametrize("name", EXPRESSIONS)
    def test_every_selector_has_every_filter(self, name: str) -> None:
        """That its metric has a label for; a variable is filtered by those before it."""
        asked = name.removeprefix("$")
        before = FILTERS[: FILTERS.index(asked)] if asked in FILTERS else FILTERS
        selectors = re.findall(r"(\w+)\{([^}]*)\}", EXPRESSIONS[name])
        assert selectors
        for metric, selector in selectors:
            known = [*FILTERS[:2], *LABELLED.get(metric, ())]
            for each in before:
                assert (f'=~"${each}"' in selector) == (each in known), (metric, each)

    def test_every_panel_has_a_description(self) -> None:
        without = [panel["title"] for panel in panels() if panel["type"] != "row"]
        described = [panel["title"] for panel in panels() if panel.get("description")]
        assert described == without

    def test_it_is_small(self) -> None:
        assert len([panel for panel in panels() if panel["type"] != "row"]) <= 16
        assert RESOLUTION in PATH.read_text()

    def test_links_lead_somewhere(self) -> None:
        """To the same dashboard with the same filters, to the page, to what to do."""
        links = [
            link["url"]
            for panel in panels()
            for override in panel.get("fieldConfig", {}).get("overrides", [])
            for each in override["properties"]
            if each["id"] == "links"
            for link in each["value"]
        ]
        (pick,) = (url for url in links if "var-incident" in url)
        assert pick.startswith(f"/d/{DASHBOARD['uid']}?")
        assert all(f"${{{each}:queryparam}}" in pick for each in ("datasource", *FILTERS))
        assert "${__data.fields.url}/incidents/${__data.fields.incident}" in links
        docs = [link for link in links if link.startswith("${__data.fields.url}/docs/")]
        assert len(docs) == 2
        for link in docs:
            assert (DEPLOY.parent / link.removeprefix("${__data.fields.url}/")).exists()

    def test_grafanas_own_schema(self) -> None:
        judge = tool("grafana-schema")
        text = PATH.read_text()
        done = subprocess.run([judge], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        broken = text.replace('"refresh": "30s"', '"refersh": "30s"')
        assert broken != text
        done = subprocess.run([judge], input=broken, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "refersh" in done.stderr

    def test_places(self) -> None:
        """Every panel has a place of its own and asks the chosen data source."""
        assert len({panel["id"] for panel in panels()}) == len(panels())
        taken: set[tuple[int, int]] = set()
        for panel in panels():
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert at["x"] + at["w"] <= 24, panel["title"]
            assert not cells & taken, panel["title"]
            taken |= cells
            for target in panel.get("targets", []):
                assert target["datasource"]["uid"] == "${datasource}"
        assert variable("cluster")["allValue"] == ALL
