# SPDX-License-Identifier: Apache-2.0
"""Measures what our BPF programs run in a kill, and the least that one can, in turn.

Ours is attached as the exporter attaches it: with the flight recorder and who else kills. The other
one sends 40 bytes and wakes the reader. A reader sleeps on either ring, so that there is somebody
to wake: that is most of the least. The victim is one of ten processes of a container.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from container_oomkill import libbpf
from container_oomkill.libbpf.ring import Ring
from container_oomkill.probe.attach import attach
from container_oomkill.probe.object_file import read_object
from container_oomkill.recorder.settings import RecorderSettings
from tests.support.kernel.processes import compile_hog

from .latency import bpf_stats, crowd, empty, ran_us
from .trees import HERE

HOOK = "raw_tracepoint"
SOURCE = Path(__file__).with_name("least.bpf.c")
TURN_SECONDS = 0.2


def measure(rounds: int = 5, kills: int = 20) -> dict[str, float]:
    """Medians, in microseconds: ``bpf_in_a_kill_us`` is ours, ``least_us`` the other's."""
    taken: dict[str, list[float]] = {"bpf_in_a_kill_us": [], "least_us": []}
    with tempfile.TemporaryDirectory() as folder:
        hog, least = compile_hog(Path(folder) / "hog"), _compiled(Path(folder))
        with bpf_stats(), crowd(hog) as kill_one:
            for _ in range(rounds):
                for name, ring in (("bpf_in_a_kill_us", ours()), ("least_us", other(least))):
                    taken[name] += _each_us(ring, kill_one, kills)
    return {name: statistics.median(each) for name, each in taken.items()}


@contextmanager
def ours() -> Iterator[Ring]:
    recorder = RecorderSettings()
    with attach(read_object(), hook=HOOK, recorder=recorder, killers=True) as probe:
        yield probe.ring


@contextmanager
def other(data: bytes) -> Iterator[Ring]:
    with (
        libbpf.CoreTypes(None) as types,
        libbpf.open_object(data, "least", types) as opened,
        opened.load() as loaded,
        loaded.attach("least"),
        Ring(loaded.map_fd("ring")) as ring,
    ):
        yield ring


def _each_us(
    attached: AbstractContextManager[Ring], kill_one: Callable[[], None], kills: int
) -> list[float]:
    with attached as ring, _read(ring):
        kill_one()  # it fills the caches
        return [ran_us(kill_one) for _ in range(kills)]


@contextmanager
def _read(ring: Ring) -> Iterator[None]:
    """Read in a thread, which sleeps until it is woken."""
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            ring.wait(TURN_SECONDS)
            empty(ring)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _compiled(folder: Path) -> bytes:
    target = folder / "least.bpf.o"
    command = ["clang", "-target", "bpf", "-I", str(HERE / "bpf"), "-g", "-O2", "-Wall", "-Werror"]
    subprocess.run([*command, "-c", str(SOURCE), "-o", str(target)], check=True)
    return target.read_bytes()
