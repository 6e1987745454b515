# SPDX-License-Identifier: Apache-2.0
"""What each path answers, over real sockets."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.sinks.query import PARAMETERS
from container_oomkill.web.http.listen import Address

from ..support.http_client import Answer, ask, connect, get, make_exporter, parse_all, read_all
from ..support.incidents import TIME, container, incident, victim

DOCUMENT = Path(__file__).parents[2] / "docs" / "page.md"


def test_metrics(exporter: Exporter) -> None:
    exporter.sink(incident())
    answer = ask(exporter.addresses[0], get())
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'container_oomkill_total{container="app",' in answer.body
    assert b"process_resident_memory_bytes" in answer.body


@pytest.mark.parametrize("path", ["/metrics", "/"])
@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip ; q=0.001", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, identity", False),
        ("identity, gzip ;q = 0.0", False),
        ("x-gzip, br", False),
        ("", False),
    ],
)
def test_gzip_is_for_who_takes_it(
    exporter: Exporter, path: str, accepted: str, packed: bool
) -> None:
    answer = ask(exporter.addresses[0], get(path, f"Accept-Encoding: {accepted}"))
    assert ("content-encoding" in answer.headers) is packed
    assert answer.body.startswith(b"\x1f\x8b") is packed


def test_openmetrics_and_gzip_by_negotiation(exporter: Exporter) -> None:
    exporter.sink(incident())
    accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer = ask(exporter.addresses[0], get("/metrics", accept, "Accept-Encoding: gzip"))
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    text = gzip.decompress(answer.body)
    assert b'container_oomkill_created{container="app",' in text
    assert text.endswith(b"# EOF\n")


def test_every_answer_has_security_headers(exporter: Exporter) -> None:
    for request in (get(), get("/"), get("/nothing"), b"nonsense\r\n\r\n"):
        headers = ask(exporter.addresses[0], request).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_ready_only_while_attached_and_read() -> None:
    with make_exporter() as exporter:
        exporter.start()
        address = exporter.addresses[0]

        def readyz() -> tuple[int, bytes]:
            answer = ask(address, get("/readyz"))
            return answer.status, answer.body

        assert readyz() == (503, b"not ready: the ring buffer is not being read\n")
        exporter.ready(True)
        assert readyz() == (200, b"ready\n")
        exporter._status.attached = False  # type: ignore[misc]
        assert readyz() == (503, b"not ready: the hooks are not attached\n")
        assert ask(address, get("/healthz")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/metrics/",
        "/metrics/..",
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/metrics%00",
        "//metrics",
        "/%ff%fe",
    ],
)
def test_other_paths_are_not_found(exporter: Exporter, path: str) -> None:
    assert ask(exporter.addresses[0], get(path)).status == 404


def test_telemetry_path_is_free() -> None:
    with make_exporter(telemetry_path="/") as exporter:
        exporter.start()
        assert b"container_oomkill_build_info" in ask(exporter.addresses[0], get("/")).body
        assert ask(exporter.addresses[0], get("/metrics")).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_refused(exporter: Exporter, method: str) -> None:
    answer = ask(exporter.addresses[0], get(method=method))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_has_no_body(exporter: Exporter) -> None:
    with connect(exporter.addresses[0]) as client:
        client.sendall(get(method="HEAD"))
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert body == b""


def test_one_connection_serves_many_requests(exporter: Exporter) -> None:
    keep = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    page = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(exporter.addresses[0]) as client:
        client.sendall(keep + page + keep + page + get("/nothing"))
        answers = parse_all(read_all(client))
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 404]
    assert answers[1].body.startswith(b"# HELP container_oomkill_total ")


def test_http_1_0_gets_a_body_that_ends_with_the_connection(exporter: Exporter) -> None:
    answer = ask(exporter.addresses[0], b"GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["connection"] == "close"
    assert b"container_oomkill_build_info" in answer.body


class TestIncidents:
    """/api/v1/incidents"""

    @pytest.fixture
    def address(self, exporter: Exporter) -> Address:
        for number in range(1, 31):
            name = "odd" if number % 2 else "even"
            exporter.sink(incident(number, container=container(name, id=f"{number % 2:02x}" * 32)))
        return exporter.addresses[0]

    def ask(self, address: Address, query: str = "") -> Answer:
        answer = ask(address, get("/api/v1/incidents" + query))
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        return answer

    def sequences(self, address: Address, query: str = "") -> list[int]:
        return [each["sequence"] for each in self.ask(address, query).json()["incidents"]]

    def test_newest_first(self, address: Address) -> None:
        assert self.sequences(address) == list(range(30, 0, -1))

    def test_limit(self, address: Address) -> None:
        assert self.sequences(address, "?limit=3") == [30, 29, 28]

    def test_page_by_page_to_the_end(self, address: Address) -> None:
        path, seen, totals = "/api/v1/incidents?container=odd&limit=4&page=1", [], set()
        while path:
            answer = ask(address, get(path)).json()
            seen.append([each["sequence"] for each in answer["incidents"]])
            totals.add(answer["total"])
            path = answer["next"]
        assert seen == [[29, 27, 25, 23], [21, 19, 17, 15], [13, 11, 9, 7], [5, 3, 1]]
        assert totals == {15}
        assert self.sequences(address, "?page=2") == []
        assert self.ask(address).json()["next"] is None

    def test_the_documents_filters_and_its_example(self, address: Address) -> None:
        text = DOCUMENT.read_text(encoding="utf-8")
        table = text.partition("| filter | matches |")[2].partition("\n\n")[0]
        heads = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
        assert sorted(re.findall("`([a-z]+)`", "".join(heads))) == sorted(PARAMETERS)
        example = re.search(r"curl 'http://NODE:9262(/api/v1/incidents[^']+)'", text)
        assert example is not None
        answer = ask(address, get(example[1]))
        assert answer.status == 200
        fields = text.partition("| field of the answer | |")[2].partition("\n\n")[0]
        assert set(re.findall(r"^\| `([a-z]+)`", fields, re.MULTILINE)) == set(answer.json())

    def test_since_a_sequence(self, address: Address) -> None:
        assert self.sequences(address, "?since=28") == [30, 29]

    def test_since_a_time(self, address: Address) -> None:
        assert self.sequences(address, f"?since={TIME + 28}") == [30, 29]
        assert self.sequences(address, "?since=2026-09-21T14:13:48.6Z") == [30, 29]
        assert self.sequences(address, "?since=2026-09-21T16:13:48.6+02:00") == [30, 29]

    def test_container_by_name_or_id(self, address: Address) -> None:
        assert self.sequences(address, "?container=odd&limit=2") == [29, 27]
        assert self.sequences(address, "?container=010101010101&limit=2") == [29, 27]
        assert self.sequences(address, "?container=01") == []

    def test_the_filters_of_the_pages(self, address: Address, exporter: Exporter) -> None:
        exporter.sink(
            incident(
                31,
                node="node-2",
                scope="pod",
                container=container("ODD", workload="Deployment/cart", service="Odds"),
                victims=(victim(cgroup="/kubepods/pod9/c1"),),
            )
        )
        for query in (
            "namespace=sho&limit=1",
            "pod=CART&scope=pod",
            "workload=deployment/",
            "node=node-2",
            "cgroup=/kubepods/pod9",
            "cgroup=/kubepods/pod9/c1/",
            f"since={TIME + 30}&until={TIME + 32}",
            "container=dds",
        ):
            assert self.sequences(address, f"?{query}") == [31], query
            links = ask(address, get(f"/?{query}")).body.decode()
            assert '-31"' in links, query
            assert '-30"' not in links or "limit=1" in query, query
        assert self.sequences(address, "?cgroup=/kubepods/pod") == []
        assert self.sequences(address, "?since=1h&container=odd&limit=1") == []
        assert len(self.sequences(address, "?until=1h")) == 31

    @pytest.mark.parametrize(
        "query",
        [
            "?limit=0",
            "?limit=x",
            "?since=yesterday",
            "?since=-1",
            "?since=2026-09-21T14:13:48",
            "?since=",
            "?pods=x",
            "?page=0",
            "?page=x",
            "?scope=moon",
            "?until=",
            "?until=5x",
            "?since=1e5",
            "?since=9" + "9" * 400,
        ],
    )
    def test_nonsense_is_refused_in_words(self, address: Address, query: str) -> None:
        answer = self.ask(address, query)
        assert answer.status == 400
        assert set(answer.json()) == {"error"}

    def test_nothing_yet(self) -> None:
        with make_exporter() as exporter:
            exporter.start()
            assert self.sequences(exporter.addresses[0]) == []
