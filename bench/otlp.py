# SPDX-License-Identifier: Apache-2.0
"""Measures what many nodes' incidents cost one OpenTelemetry Collector.

    python -m bench.otlp [--nodes N] [--kills-a-minute N] [--seconds N]

Each node has a connection of its own that it keeps, as an exporter does, and sends each kill as a
request of its own with its own resource. The collector is real (`make test-otlp` builds it), the
nodes are threads.
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

MIB = 1 << 20
STACK = 512 << 10  # of a thread
START_SECONDS = 0.002  # of a thread
ESTABLISHED = "01"  # include/net/tcp_states.h


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def connected(address: str) -> int:
    """How many connections there are to an address of this machine (/proc/net/tcp)."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for each in lines if each[2].endswith(port) and each[3] == ESTABLISHED)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.otlp")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--kills-a-minute", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    each, pause = args.kills_a_minute * args.seconds // 60, 60 / args.kills_a_minute
    sent = [0, 0]  # requests, bytes
    late: list[float] = []
    lock, over = threading.Lock(), threading.Event()

    def send(node: int, url: str, began: float) -> None:
        """One node: its kills at even distances, at other times than its neighbours'."""
        name = f"node-{node}"
        client = HttpClient(parsed_url(url), agent="bench")
        ours = resource(node=name, version="0", cluster_node=name, environ={})
        request = Request(ours, version="0", gzip=True)
        for number in range(each):
            body = request.body([encode(explain(incident(number, node=name)))])
            due = began + (number + node / args.nodes) * pause
            time.sleep(max(0.0, due - time.monotonic()))
            answer = client.post(body, request.headers)
            assert answer.status == 200, answer
            with lock:
                sent[0] += 1
                sent[1] += len(body)
                late.append(time.monotonic() - due)
        over.wait()
        client.close()

    address = free_address()
    with tempfile.TemporaryDirectory() as folder, collector(Path(folder), address) as collected:
        url = f"http://{address}/v1/logs"
        threading.stack_size(STACK)
        began = time.monotonic() + args.nodes * START_SECONDS
        threads = [
            threading.Thread(target=send, args=(node, url, began)) for node in range(args.nodes)
        ]
        for thread in threads:
            thread.start()
        time.sleep(max(0.0, began - time.monotonic()))
        before = cpu_seconds(collected.pid)
        while sent[0] < args.nodes * each:
            assert all(thread.is_alive() for thread in threads)
            time.sleep(0.05)
        seconds = time.monotonic() - began
        connections = connected(address)
        cpu = cpu_seconds(collected.pid) - before
        memory = anonymous(collected.pid)
        over.set()
        for thread in threads:
            thread.join()
        time.sleep(1)
        uids = collected.uids()
    late.sort()
    print(f"{connections} connections; {sent[0]} records in {seconds:.0f} s")
    print(f"{sent[0] / seconds:.0f} a second, {sent[1] / sent[0]:.0f} bytes each, compressed")
    print(f"answered after {late[len(late) // 2]:.2f} s (median), {late[-1]:.2f} s (the latest)")
    print(f"collector: {cpu / seconds * 100:.1f} % of a CPU, {memory / MIB:.0f} MiB")
    print(f"arrived: {len(uids)}, {len(set(uids))} different")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
