# SPDX-License-Identifier: Apache-2.0
"""Measures what many exporters cost a Prometheus: one real Prometheus, N simulated nodes.

    python -m bench.scale [--nodes 10 20 40] [--containers 60] [--scrapes 120]

One thread answers for all nodes, on a loopback address of each node's own, with the page that the
real metrics sink makes of known containers, a few of them killed. It is scraped every second: an
hour's samples of every 30 s come in two minutes. docs/scale.md has what follows from it.
"""

from __future__ import annotations

import argparse
import json
import re
import selectors
import socket
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import ProcessCollector

from tests.support.incidents import FakeProbe, container, incident
from tests.support.prometheus import RULES, Prometheus, running
from tests.support.scraping import make, scrape
from tests.support.waiting import eventually

MIB = 1 << 20
PORT = 9262
INTERVAL_SECONDS = 1
FEATURES = (
    *("oom_control", "domain_exact", "threads", "candidates", "every_victim"),
    *("flight_recorder", "reclaim", "killers"),
)
QUEUES = ("ring", "log")
CONFIG = """\
global: {{ scrape_interval: {interval}s, scrape_timeout: {interval}s, evaluation_interval: 15s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: container-oomkill
    honor_labels: true
    static_configs: [{{ targets: [{targets}] }}]
"""


@dataclass(frozen=True)
class Numbers:
    """One run's."""

    nodes: int
    series: int
    samples: int
    memory_bytes: int  # more than before the first scrape
    disk_bytes: int


def page(node: int, containers: int, killed: int) -> bytes:
    """What a node's exporter answers: every pod has a name of its own, as on a cluster."""
    metrics = make(
        FakeProbe(can=dict.fromkeys(FEATURES, True)),
        kernel_kills=lambda: 0,
        kernel_kills_before=0,
        queues=lambda: dict.fromkeys(QUEUES, (0, 1000)),
        process=ProcessCollector(registry=None),
    )
    for number in range(containers):
        metrics.register(("shop", f"cart-{node}-{number}", "app"))
    for number in range(killed):
        one = container("app", pod=f"cart-{node}-{number}")
        metrics(incident(number, container=one))
    return scrape(metrics)


def series_of(text: bytes) -> int:
    return sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))


class Nodes:
    """Answers on 127.1.x.y for every node; keeps connections open, as Prometheus does."""

    def __init__(self, pages: list[bytes], port: int = PORT) -> None:
        self._selector = selectors.DefaultSelector()
        self._listeners: dict[socket.socket, bytes] = {}
        self.targets: list[str] = []
        for number, text in enumerate(pages):
            address = (f"127.1.{number // 250}.{number % 250 + 1}", port)
            listener = socket.create_server(address)
            listener.setblocking(False)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
            answer = head + b"Content-Length: %d\r\n\r\n" % len(text) + text
            self._selector.register(listener, selectors.EVENT_READ, answer)
            self._listeners[listener] = answer
            self.targets.append(f"{address[0]}:{listener.getsockname()[1]}")
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="nodes")

    def _run(self) -> None:
        while not self._ending:
            for key, _ in self._selector.select(0.2):
                ours = key.fileobj
                assert isinstance(ours, socket.socket)
                if ours in self._listeners:
                    client, _ = ours.accept()
                    self._selector.register(client, selectors.EVENT_READ, key.data)
                elif not self._answer(ours, key.data):
                    self._selector.unregister(ours)
                    ours.close()

    @staticmethod
    def _answer(client: socket.socket, answer: bytes) -> bool:
        """Answer a request; False if there is nobody any more: a scrape may be given up."""
        try:
            if client.recv(65536):
                client.sendall(answer)
                return True
        except ConnectionError:
            pass
        return False

    def __enter__(self) -> Nodes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            ours = key.fileobj
            assert isinstance(ours, socket.socket)
            ours.close()
        self._selector.close()


def measure(nodes: int, containers: int, killed: int, scrapes: int) -> Numbers:
    """Let a fresh Prometheus scrape every node that often."""
    pages = [page(number, containers, killed) for number in range(nodes)]
    with tempfile.TemporaryDirectory(prefix="oomkill-scale-") as name, Nodes(pages) as simulated:
        folder = Path(name)
        quoted = ", ".join(f'"{target}"' for target in simulated.targets)
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(interval=INTERVAL_SECONDS, rules=RULES, targets=quoted))
        with running(folder, config, "--web.enable-admin-api") as (server, pid):
            before = anonymous(pid)
            eventually(lambda: server.value("count(up == 1)") == nodes)
            time.sleep(scrapes * INTERVAL_SECONDS)
            eventually(lambda: samples(server) >= nodes * scrapes * series_of(pages[0]))
            series = int(server.get("/api/v1/status/tsdb")["headStats"]["numSeries"])
            grown = anonymous(pid) - before
            taken = samples(server)
            block = folder / "data/snapshots" / snapshot(server)
            written = sum(each.stat().st_size for each in block.rglob("*") if each.is_file())
    return Numbers(nodes, series, taken, grown, written)


def samples(server: Prometheus) -> int:
    """What it has taken in, by its own count."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r"(?m)^prometheus_tsdb_head_samples_appended_total(?:\{.*\})? (\S+)$", text)
    assert found is not None
    return int(float(found[1]))


def snapshot(server: Prometheus) -> str:
    """Have it write all it has as a block, which is what stays on disk."""
    request = urllib.request.Request(f"{server.url}/api/v1/admin/tsdb/snapshot", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        name: str = json.load(answer)["data"]["name"]
    return name


def anonymous(pid: int) -> int:
    """Bytes of memory that are no file's."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(
        int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("RssAnon:")
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scale")
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 20, 40])
    parser.add_argument("--containers", type=int, default=60)
    parser.add_argument("--killed", type=int, default=2)
    parser.add_argument("--scrapes", type=int, default=120)
    args = parser.parse_args()
    base, known = series_of(page(0, 0, 0)), series_of(page(0, 100, 0))
    both = series_of(page(0, 100, 100))
    print(f"a node's page: {base} series of its own, {(known - base) / 100:.0f} for each known")
    print(f"container, {(both - known) / 100:.0f} more for each that was killed in the last hour")
    print("\n nodes    series  samples/s at 30 s   memory MiB   a series KiB   bytes a sample")
    for nodes in args.nodes:
        found = measure(nodes, args.containers, args.killed, args.scrapes)
        print(
            f"{nodes:6} {found.series:9,} {found.series / 30:19,.0f}"
            f" {found.memory_bytes / MIB:12.0f} {found.memory_bytes / found.series / 1024:14.1f}"
            f" {found.disk_bytes / found.samples:16.2f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
