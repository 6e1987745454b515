# SPDX-License-Identifier: Apache-2.0
"""By which names the exporter may be asked for: not by those that a web site can make up."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_oomkill.web.http.hosts import Hosts, local_names

from ...support.http_client import ask, connect, get, make_exporter

REBOUND = "rebound.example.com"


@pytest.mark.parametrize(
    "host",
    [
        "",  # HTTP/1.0
        "127.0.0.1:9262",
        "10.1.2.3",
        "[::1]:9262",
        "[fe80::1]",
        "localhost:9262",
        "exporter:9262",  # Compose
        "container-oomkill.monitoring.svc:9262",
        "printer.local",
        "node7.shop.example",
        "NODE7.shop.example.:9262",
        "below.allowed.example",
        "oom.example.org",
    ],
)
def test_ours(host: str) -> None:
    assert Hosts(["node7.shop.example", ".allowed.example"], "https://oom.example.org/x").knows(
        host
    )


@pytest.mark.parametrize(
    "host",
    [
        REBOUND,
        f"{REBOUND}:9262",
        "127.0.0.1.example.com",
        "node7.shop.example.evil.com",
        "allowed.example.com",
        "1.2.3.4.5",
        "[::1].example.com",
        "localhost.example.com:80",
    ],
)
def test_anybodys(host: str) -> None:
    assert not Hosts(["node7.shop.example", ".allowed.example"], None).knows(host)
    assert Hosts(["*"]).knows(host)


def test_the_nodes_names(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 10.0.0.1\nsearch shop.example. example\n# search no\n")
    names = ["n", "n.shop.example", "n.example"]
    assert local_names("n", resolv_conf=str(conf)) == names
    assert local_names("n", resolv_conf=str(tmp_path / "none")) == ["n"]


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/incidents", "/events"])
def test_a_site_that_resolves_to_us_learns_nothing(path: str) -> None:
    """DNS rebinding: the browser asks us, by the site's name, and would show it the answer."""
    for allowed, status in ((), b"421"), ((REBOUND,), b"200"):
        with make_exporter(allowed_hosts=allowed) as exporter:
            exporter.start()
            with connect(exporter.addresses[0]) as client:
                client.sendall(get(path).replace(b"Host: test", f"Host: {REBOUND}".encode()))
                assert client.recv(12) == b"HTTP/1.1 " + status


def test_health_has_no_name() -> None:
    """A load balancer asks by whatever name; there is nothing to learn."""
    with make_exporter() as exporter:
        exporter.start()
        request = get("/readyz").replace(b"Host: test", f"Host: {REBOUND}".encode())
        assert b"421" not in ask(exporter.addresses[0], request).body
