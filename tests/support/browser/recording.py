# SPDX-License-Identifier: Apache-2.0
"""Records real kills for the pictures of docs/images: the containers of a small shop.

    python -m tests.vm --kernels 6.12 --share build/pictures -- \\
        .venv/bin/python -m tests.support.browser.recording build/pictures/recording.jsonl
    python -m tests.support.browser.screenshots build/pictures/recording.jsonl

In a guest, as the best hook shows most; with another one behind the file's name it records on this
machine. The names are made up: Docker's state of these containers is written for the occasion.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ..kernel.cgroups import Cgroup, cgroups, is_v1
from ..kernel.processes import Hog, Recorder, compile_hog
from ..trees import docker_config, write

NODE = "node-3"
CART, API, MEDIA = (f"{letter * 8}-1111-4222-8333-444455556666" for letter in "abc")
# pod, container, its id, its image
CONTAINERS = {
    "app": ("cart-7d9f4", CART, "a1" * 32, "shop/cart:1.4"),
    "redis": ("cart-7d9f4", CART, "a2" * 32, "redis:7"),
    "gunicorn": ("api-5b6c", API, "b1" * 32, "shop/api:2.0"),
    "resize": ("media-0", MEDIA, "c1" * 32, "shop/media:0.9"),
}
Start = Callable[..., Hog]


def main(recording: str, hook: str = "fentry") -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        program = compile_hog(folder / "hog")
        state = folder / "docker"
        for name in CONTAINERS:
            write_state(state, name)
        options = ("--state.docker", str(state), "--node", NODE, "--output", "json")
        recorder = stack.enter_context(Recorder(hook, *options))
        paths = {name: f"{pod_path(uid)}/{own}" for name, (_, uid, own, _) in CONTAINERS.items()}
        parents = ["/kubepods", "/kubepods/burstable", *map(pod_path, (CART, API, MEDIA))]
        made = stack.enter_context(cgroups(*parents, *paths.values()))
        by_path = {cgroup.path: cgroup for cgroup in made}
        by_path[pod_path(CART)].limit(96)
        containers = {name: by_path[path] for name, path in paths.items()}
        containers["gunicorn"].limit(128)
        containers["resize"].limit(96)

        def start(container: str, script: str) -> Hog:
            hog = Hog(program, containers[container], script)
            stack.callback(hog.close)
            return hog

        lines = [provoke(recorder, containers) for provoke in scenes(start)]
        Path(recording).write_text("".join(f"{line.strip()}\n" for line in lines), encoding="utf-8")


def scenes(start: Start) -> list[Callable[[Recorder, dict[str, Cgroup]], str]]:
    """The kills, in their order; each waits for its record."""

    def pods_limit(recorder: Recorder, _: dict[str, Cgroup]) -> str:
        redis = start("redis", "name redis-server anon 56 ready wait").ready()
        time.sleep(3)
        start("app", "name python3 child 6 anon 46 wait")
        assert redis.was_killed()
        return recorder.line()

    def workers(recorder: Recorder, _: dict[str, Cgroup]) -> str:
        time.sleep(5)
        script = "name gunicorn child 14 child 11 child 9 anon 8 go anon 150"
        master = start("gunicorn", script)
        for _child in range(3):
            master.ready()
        time.sleep(2)
        assert master.go().was_killed()
        return recorder.line()

    def tmpfs(recorder: Recorder, _: dict[str, Cgroup]) -> str:
        assert start("resize", "name shm-cache shmem 56 anon 30 shmem 30").was_killed()
        return recorder.line()

    def together(recorder: Recorder, containers: dict[str, Cgroup]) -> str:
        containers["resize"].write("memory.oom.group", "1")
        start("resize", "name thumbnail anon 8 ready wait").ready()
        assert start("resize", "name vips tables 3 anon 120").was_killed()
        return recorder.line()

    last = [] if is_v1() else [together]  # cgroup v1 has no memory.oom.group
    return [workers, tmpfs, *last, workers, pods_limit, workers]


def pod_path(uid: str) -> str:
    return f"/kubepods/burstable/pod{uid}"


def write_state(state: Path, name: str) -> None:
    pod, uid, container_id, image = CONTAINERS[name]
    labels = {
        "io.kubernetes.container.name": name,
        "io.kubernetes.pod.name": pod,
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": uid,
    }
    config = {"Hostname": pod, "Image": image, "Labels": labels}
    document = docker_config(container_id, Name=f"/k8s_{name}_{pod}_shop_{uid}_0", Config=config)
    write(state / container_id / "config.v2.json", document)


if __name__ == "__main__":
    main(*sys.argv[1:])
