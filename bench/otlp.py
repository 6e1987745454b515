# SPDX-License-Identifier: Apache-2.0
"""Measures what many nodes' incidents cost one OpenTelemetry Collector.

    python -m bench.otlp [--nodes N] [--kills-a-minute N] [--seconds N]

Each kill is a request of its own with the node's own resource, over a connection for each of our
threads. The collector is real (`make test-otlp` builds it), the nodes are not.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.otlp.request import Request
from container_oomkill.otlp.resource import resource
from container_oomkill.otlp.sender import encode
from container_oomkill.sending.client import HttpClient, parsed_url
from tests.support.collector import collector, free_address
from tests.support.incidents import incident

from .scale import anonymous

THREADS = 8
MIB = 1 << 20


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.otlp")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--kills-a-minute", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    total = args.nodes * args.kills_a_minute * args.seconds // 60
    pause = args.seconds * THREADS / total
    sent = [0, 0]  # requests, bytes
    late = [0.0]
    lock = threading.Lock()

    def send(first: int, url: str, began: float) -> None:
        client = HttpClient(parsed_url(url), agent="bench")
        for number in range(first, total, THREADS):
            name = f"node-{number % args.nodes}"
            ours = resource(node=name, version="0", cluster_node=name, environ={})
            request = Request(ours, version="0", gzip=True)
            one = explain(incident(number, node=name))
            body = request.body([encode(one)])
            due = began + number // THREADS * pause
            time.sleep(max(0.0, due - time.monotonic()))
            answer = client.post(body, request.headers)
            assert answer.status == 200, answer
            with lock:
                sent[0] += 1
                sent[1] += len(body)
                late[0] = max(late[0], time.monotonic() - due)
        client.close()

    address = free_address()
    with tempfile.TemporaryDirectory() as folder, collector(Path(folder), address) as collected:
        before, began = cpu_seconds(collected.pid), time.monotonic()
        url = f"http://{address}/v1/logs"
        threads = [threading.Thread(target=send, args=(n, url, began)) for n in range(THREADS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        seconds = time.monotonic() - began
        cpu = cpu_seconds(collected.pid) - before
        memory = anonymous(collected.pid)
        time.sleep(1)
        uids = collected.uids()
    print(f"{sent[0]} records in {seconds:.0f} s, {sent[0] / seconds:.0f} a second")
    print(f"{sent[1] / sent[0]:.0f} bytes each, compressed; the latest was {late[0]:.2f} s late")
    print(f"collector: {cpu / seconds * 100:.1f} % of a CPU, {memory / MIB:.0f} MiB")
    print(f"arrived: {len(uids)}, {len(set(uids))} different")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
