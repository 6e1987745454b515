# SPDX-License-Identifier: Apache-2.0
"""Records the incidents of `container-oomkill demo`: real kills on this machine, and older ones.

    python -m tests.support.kernel.demo_recording src/container_oomkill/cli/assets/demo.jsonl

Takes five minutes: a leak has to last. The kills are provoked at the same time, each in a cgroup of
its own with a limit of at most 96 MiB. The names are made up: Docker's state of
these containers is written for the occasion. Everything else is as the kernel said it. What this
kernel cannot do (it has cgroup v1) was recorded in guests before: the records of tests/data and
deploy/docker are put in as they are, without their keys that are null.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from ..trees import docker_config, kubelet_labels, write
from .cgroups import Cgroup, cgroups
from .mounts import mounted
from .processes import Hog, Recorder, compile_hog

ROOT = Path(__file__).parents[3]
EARLIER = (ROOT / "deploy" / "docker" / "recording.jsonl", *(ROOT / "tests/data/reports").iterdir())
NODE = "node-3"
PATIENCE_SECONDS = 600
PID_1 = ("unshare", "--pid", "--fork", "--kill-child")  # the hog is process 1 of its container
Start = Callable[..., Hog]


class Container:
    """One that Docker's state names: a pod's for the kubelet, or Compose's."""

    def __init__(self, number: int, name: str, image: str, pod: str | None = None) -> None:
        self.id = f"{number:02x}d3" * 16
        self.name, self.image, self.pod = name, image, pod
        self.uid = f"{sum(map(ord, pod or '')):08x}-1111-4222-8333-444455556666"
        self.parent = "/docker" if pod is None else f"/kubepods/burstable/pod{self.uid}"
        self.path = f"{self.parent}/{self.id}"

    def write_state(self, state: Path) -> None:
        labels = {
            "com.docker.compose.project": "blog",
            "com.docker.compose.service": self.name,
        }
        full_name = f"/blog-{self.name}-1"
        if self.pod is not None:
            labels = kubelet_labels() | {
                "io.kubernetes.container.name": self.name,
                "io.kubernetes.pod.name": self.pod,
                "io.kubernetes.pod.uid": self.uid,
            }
            full_name = f"/k8s_{self.name}_{self.pod}_shop_{self.uid}_0"
        config = {"Hostname": self.pod or self.id[:12], "Image": self.image, "Labels": labels}
        document = docker_config(self.id, Name=full_name, Config=config)
        write(state / self.id / "config.v2.json", document)


# name of the container -> image, pod
CONTAINERS = {
    "cart": ("shop/cart:1.4", "cart-7d9f4"),  # leak
    "search": ("shop/search:3.1", "search-0"),  # spike
    "feed": ("shop/feed:0.8", "feed-66b7"),  # ramp
    "billing": ("shop/billing:5.2", "billing-58d9"),  # sawtooth
    "pricing": ("shop/pricing:2.0", "pricing-6c4f"),  # start-up
    "memcached": ("memcached:1.6", "sessions-0"),  # plateau
    "upload": ("shop/upload:1.1", "upload-9c8d"),  # tmpfs
    "redis": ("redis:7", "catalog-5f7b"),  # pod's limit, the victim
    "importer": ("shop/importer:1.9", "catalog-5f7b"),  # and who asked for more
    "gunicorn": ("shop/api:2.0", "api-5b6c"),  # a child of PID 1
    "thumbnail": ("shop/thumbnail:0.9", "media-0"),  # limit lowered
    "mailer": ("shop/mailer:4.0", "mailer-7f6d"),  # slab
    "geo": ("shop/geo:1.0", "geo-55c4"),  # page cache that is locked
    "crawler": ("shop/crawler:2.3", "crawler-0"),  # many processes
    "gateway": ("shop/gateway:6.1", "gateway-84bd"),  # threads
    "ledger": ("shop/ledger:1.2", "ledger-0"),  # page tables
    "worker": ("shop/worker:1.7", "worker-6f9c"),  # an exec probe
    "wordpress": ("wordpress:6", None),  # Compose, again and again
}
UNIT = "/system.slice/nightly-report.service"
JOB = "/slurm/uid_20001/job_4711/step_0"


def main(recording: str) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        program = compile_hog(folder / "hog")
        containers = {
            name: Container(number, name, image, pod)
            for number, (name, (image, pod)) in enumerate(CONTAINERS.items(), 16)
        }
        for container in containers.values():
            container.write_state(folder / "docker")
        tmpfs = stack.enter_context(mounted(folder / "tmpfs", "-t", "tmpfs", "none"))
        options = ("--state.docker", str(folder / "docker"), "--node", NODE)
        recorder = stack.enter_context(Recorder("raw_tracepoint", *options))
        by_name = made(stack, containers)

        def start(name: str, script: str, *, inside: int | None = None) -> Hog:
            wrap: Sequence[str] = PID_1 if name in CONTAINERS else ()
            if inside is not None:
                wrap = ("nsenter", "--target", str(inside), "--pid")
            hog = Hog(program, by_name[name], script, wrap=wrap)
            stack.callback(hog.close)
            stack.callback(end, by_name[name])  # children keep its output open
            return hog

        time.sleep(2)  # for a walk: what starts after it is known from its beginning
        kills = together(scenes(start, by_name, folder, tmpfs))
        lines = [recorder.line() for _ in range(kills)]
    earlier = [line for file in EARLIER for line in file.read_text("utf-8").splitlines()]
    records = sorted(map(json.loads, [*lines, *earlier]), key=lambda record: record["time"])
    with Path(recording).open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(without_nulls(record), separators=(",", ":")) + "\n")


def made(stack: ExitStack, containers: dict[str, Container]) -> dict[str, Cgroup]:
    """Make the cgroups, and limit them; by the names of containers, of pods, and of the two."""
    pods = sorted({each.parent for each in containers.values()})
    parents = ["/kubepods", "/kubepods/burstable", *pods, "/system.slice"]
    parents += ["/slurm", "/slurm/uid_20001", "/slurm/uid_20001/job_4711"]
    paths = [*parents, *(each.path for each in containers.values()), UNIT, JOB]
    by_path = {each.path: each for each in stack.enter_context(cgroups(*dict.fromkeys(paths)))}
    by_name = {name: by_path[each.path] for name, each in containers.items()}
    by_name |= {"unit": by_path[UNIT], "job": by_path[JOB]}
    by_name["pod"] = by_path[containers["redis"].parent]
    for name, mib in LIMITS.items():
        by_name[name].limit(mib)
    assert {*by_name} - {*LIMITS} == {"redis", "importer"}  # their pod has one
    return by_name


LIMITS = {
    "cart": 64, "search": 64, "feed": 64, "billing": 48, "pricing": 48, "memcached": 64,
    "upload": 32, "pod": 96, "gunicorn": 96, "thumbnail": 64, "mailer": 32, "geo": 48,
    "crawler": 48, "gateway": 48, "ledger": 48, "worker": 48, "wordpress": 64,
    "unit": 64, "job": 64,
}  # fmt: skip


def scenes(
    start: Start, cgroup: dict[str, Cgroup], disk: Path, tmpfs: Path
) -> list[Callable[[], int]]:
    """The kills; each waits for its own and says how many they were."""

    def plain(name: str, script: str) -> Callable[[], int]:
        def scene() -> int:
            return end_of(start(name, script))

        return scene

    def pods_limit() -> int:
        redis = start("redis", "name redis-server anon 56 ready wait").ready()
        time.sleep(20)
        start("importer", "name python3 child 6 grow 80 8000 wait")
        return end_of(redis)

    def child_of_pid_1() -> int:
        script = "anon 8 child 9 child 11 sleep 15000 fork name gunicorn grow 120 6000"
        return end_of(start("gunicorn", f"name gunicorn {script}"))

    def limit_lowered() -> int:
        hog = start("thumbnail", "name vips anon 42 ready go grow 64 8000").ready()
        time.sleep(25)
        cgroup["thumbnail"].limit(46)
        time.sleep(15)
        return end_of(hog.go())

    def exec_probe() -> int:
        first = start("worker", "name celery anon 9 ready wait").ready()
        (inside,) = set(map(int, cgroup["worker"].read("cgroup.procs").split())) - {first.pid}
        time.sleep(20)
        return end_of(start("worker", "name healthcheck anon 80", inside=inside))

    def again_and_again() -> int:
        for seconds in (20, 10):
            script = f"name php-fpm child 12 child 10 sleep {seconds * 1000} grow 90 {seconds * 50}"
            end_of(start("wordpress", script))
        return 2

    return [
        plain("cart", "name python3 anon 6 grow 110 420000"),
        plain("search", "name java anon 22 sleep 150000 grow 100 3000"),
        plain("feed", "name node anon 18 sleep 110000 grow 110 60000"),
        plain("billing", "name java anon 9 " + "saw 32 7000 9 saw 30 6000 5 " + "grow 80 8000"),
        plain("pricing", "name java grow 96 7000"),
        plain("memcached", "name memcached anon 60 sleep 80000 grow 20 6000"),
        plain("upload", f"name uploader anon 3 sleep 20000 write {tmpfs}/upload.part 64"),
        plain("mailer", f"name mailer anon 4 sleep 15000 entries {queue(tmpfs)} 80000"),
        plain("geo", f"name geod file {disk}/tiles.db 30 lock sleep 15000 grow 60 5000"),
        plain("crawler", "name chrome anon 4 sleep 10000 children 600 anon 60"),
        plain("gateway", "name java anon 6 sleep 10000 threads 4000"),
        plain("ledger", "name ledgerd anon 5 sleep 10000 tables 30 grow 40 4000"),
        plain("unit", "name report.py anon 5 sleep 12000 grow 90 20000"),
        plain("job", "name solver anon 20 sleep 30000 grow 90 40000"),
        pods_limit,
        child_of_pid_1,
        limit_lowered,
        exec_probe,
        again_and_again,
    ]


def end(cgroup: Cgroup) -> None:
    for pid in cgroup.read("cgroup.procs").split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def end_of(hog: Hog) -> int:
    """Wait for it. That it was killed its record says: unshare ends with 1 when its child is."""
    hog.process.wait(PATIENCE_SECONDS)
    return 1


def queue(tmpfs: Path) -> Path:
    folder = tmpfs / "queue"
    folder.mkdir()
    return folder


def together(scenes: Sequence[Callable[[], int]]) -> int:
    """Play all of them at the same time; return how many kills there were."""
    kills: list[int] = []
    failed: list[BaseException] = []

    def play(scene: Callable[[], int]) -> None:
        try:
            kills.append(scene())
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
            failed.append(error)

    threads = [threading.Thread(target=play, args=(scene,)) for scene in scenes]
    for thread in threads:
        thread.start()
        time.sleep(0.3)  # so that they do not all start at once
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return sum(kills)


def without_nulls(value: Any) -> Any:
    """Leave out what is not known: a reader takes a key that is not there for null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main(*sys.argv[1:])
