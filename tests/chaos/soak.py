# SPDX-License-Identifier: Apache-2.0
"""The exporter at its shipped memory limit, under every attack of docs/security.md at once.

    python -m tests.chaos.soak [SECONDS]    # as root; ten minutes unless told otherwise

A user has forty processes a second killed, in cgroups that look like containers of theirs, with a
state file that is hostile and changes all the time; clients hammer, trickle, send half a request
and follow streams that they do not read. A neighbour is killed once a second, Prometheus scrapes,
the service manager waits for signs of life. It prints the numbers, and fails where one is wrong.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..support.chaos.killing import Killing
from ..support.hostile_clients import clients
from ..support.kernel.cgroups import Cgroup, cgroups
from ..support.kernel.exporter import Exporter, address_of
from ..support.kernel.processes import COMMAND
from ..support.prometheus import running as prometheus

SHIPPED_MIB = 64  # MemoryMax= of the unit, limits.memory of the manifests
UID, EVIL = 4242, 4  # a user that this machine has not; cgroups of theirs
SLICES = ("/user.slice", f"/user.slice/user-{UID}.slice")
STORAGE = "home/evil/.local/share/containers/storage/overlay-containers"
SCRAPES = """\
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs: [{{ job_name: soak, static_configs: [{{ targets: ["{target}"] }}] }}]
"""


class Soak:
    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.end = time.monotonic() + seconds
        self.gap = 0.0  # the longest between two signs of life
        self.not_ready = 0
        self.resident: list[int] = []  # MiB

    def going(self) -> bool:
        return time.monotonic() < self.end

    def background(self, *loops: Callable[[], None]) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self._repeat, args=(loop,), daemon=True) for loop in loops
        ]
        for thread in threads:
            thread.start()
        return threads

    def _repeat(self, loop: Callable[[], None]) -> None:
        while self.going():
            with contextlib.suppress(OSError):
                loop()

    def watchdog(self, manager: socket.socket) -> None:
        manager.settimeout(1.0)
        last = time.monotonic()
        while self.going():
            is_alive = False
            with contextlib.suppress(TimeoutError):
                is_alive = bool(manager.recv(4096))
            now = time.monotonic()
            self.gap = max(self.gap, now - last)
            if is_alive:
                last = now

    def hostile_file(self) -> None:
        """Brackets, small enough to be read, another file each time."""
        path = self.folder / STORAGE / "containers.json"
        path.with_suffix(".new").write_text("[" + "[]," * 21_000 + f"{time.monotonic_ns()}]")
        path.with_suffix(".new").rename(path)
        time.sleep(0.05)

    def look(self, exporter: Exporter) -> None:
        self.not_ready += not exporter.is_ready()
        status = Path(f"/proc/{exporter.process.pid}/status").read_text()
        self.resident.append(int(status.partition("VmRSS:")[2].split()[0]) >> 10)
        time.sleep(1)


def start(soak: Soak, limited: Cgroup) -> subprocess.Popen[str]:
    """As the unit does, with the host's folders elsewhere."""
    command = [sys.executable, str(COMMAND), "exporter", "--web.listen-address", "127.0.0.1:0"]
    command += ["--host-root", str(soak.folder), "--log.incidents", "off"]
    command += ["--history", str(soak.folder / "history")]
    environ = {"NOTIFY_SOCKET": str(soak.folder / "notify"), "WATCHDOG_USEC": "30000000"}
    return subprocess.Popen(
        command,
        env=os.environ | environ | {"MALLOC_ARENA_MAX": "1"},
        preexec_fn=limited.enter,
        stderr=subprocess.PIPE,
        text=True,
    )


def soaked(soak: Soak, seconds: float) -> None:
    (soak.folder / STORAGE).mkdir(parents=True)
    (soak.folder / "etc").mkdir()
    (soak.folder / "etc/passwd").write_text(f"evil:x:{UID}:{UID}::/home/evil:/bin/sh\n")
    evil = [f"{SLICES[-1]}/libpod-{number:064x}.scope" for number in range(EVIL)]
    paths = ["/oomkill-soak", "/oomkill-neighbour", *SLICES, *evil]
    with contextlib.ExitStack() as stack:
        limited, neighbour, *rest = stack.enter_context(cgroups(*paths))
        limited.limit(SHIPPED_MIB)
        manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(str(soak.folder / "notify"))
        process = start(soak, limited)
        stack.callback(process.kill)
        exporter = Exporter(process, address_of(process))
        config = soak.folder / "prometheus.yml"
        config.write_text(SCRAPES.format(target=exporter.address))
        server, _ = stack.enter_context(prometheus(soak.folder, config))
        begun = time.monotonic()
        soak.end = begun + 10 * seconds  # until all are killed, however slow the machine is
        threads = soak.background(
            *clients(exporter.address, soak.going), soak.hostile_file, lambda: soak.look(exporter)
        )
        threads.append(threading.Thread(target=soak.watchdog, args=(manager,)))
        threads[-1].start()
        count = int(seconds)
        killings = [Killing(soak.folder, neighbour, count, 1000)]
        killings += [Killing(soak.folder, each, 10 * count, 100) for each in rest[-EVIL:]]
        killed = [len(killing.pids()) for killing in killings]
        took = time.monotonic() - begun
        up = server.value(f'avg_over_time(up{{job="soak"}}[{max(1, count - 10)}s])')
        soak.end = time.monotonic()
        for thread in threads:
            thread.join(15)
        time.sleep(2)
        labels = f'container="{neighbour.path[1:]}"'
        page = exporter.get("/metrics").splitlines()
        counted = sum(
            float(line.split()[-1])
            for line in page
            if line.startswith("container_oomkill_total{") and labels in line
        )
        lost = [
            line.removeprefix("container_oomkill_lost_total")
            for line in page
            if line.startswith("container_oomkill_lost_total{") and float(line.split()[-1])
        ]
        half = len(soak.resident) // 2
        early, late = max(soak.resident[:half]), max(soak.resident[half:])
        print(f"neighbour: {killed[0]} kills, {counted:.0f} counted")
        print(f"the user: {sum(killed[1:])} kills in {took:.0f} s; lost: {lost or 'none'}")
        print(f"up: {up}; /readyz not 200: {soak.not_ready} of {len(soak.resident)}")
        print(f"longest without a sign of life: {soak.gap:.1f} s")
        print(f"resident MiB: first half {early}, second half {late}; limit {SHIPPED_MIB}")
        print(f"peak of the cgroup: {limited.peak_bytes() >> 20} MiB")
        assert process.poll() is None, "it did not survive"
        assert counted == killed[0]
        assert soak.gap < 10
        assert soak.not_ready == 0
        assert late <= early + 2


if __name__ == "__main__":
    wanted = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    with tempfile.TemporaryDirectory() as made:
        soaked(Soak(Path(made), wanted), wanted)
