# SPDX-License-Identifier: Apache-2.0
"""Real kills while the exporter is killed again and again: none is missing, each has its number."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.probe import object_file
from container_oomkill.probe.kernel_counts import read_kernel_kills

from ..support.chaos.killing import Killing
from ..support.kernel.cgroups import Cgroup
from ..support.kernel.exporter import Exporter
from ..support.kernel.processes import COMMAND
from ..support.waiting import eventually

BACKLOG_SECONDS = 900  # to tell all kills, in an emulated guest
Say = Callable[[str], None]
MakeCgroups = Callable[..., list[Cgroup]]


class Exporters:
    """One exporter after another, all with the same pins, all adding to one log."""

    def __init__(self, hook: str, pins: Path, log: Path) -> None:
        self._options = ["--hook", hook, "--pin", str(pins), "--log.incidents", "json"]
        # Room for all of the kills, 4 KiB each in the seven eighths that one container may fill: an
        # emulated guest kills faster than it starts an exporter, and what a full ring loses is
        # another test's.
        self._options += ["--web.listen-address", "127.0.0.1:0", "--ring-bytes", str(16 << 20)]
        self.log = log
        self.latest: Exporter | None = None

    def start(self, *options: str) -> Exporter:
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, COMMAND, "exporter", *self._options, *options],
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert process.stderr is not None
        words = process.stderr.readline()
        assert "listening on" in words, words + process.stderr.read()
        self.latest = Exporter(process, words.split()[-1])
        return self.latest

    def close(self) -> None:
        """End the one that runs: it holds the pins."""
        if self.latest is not None:
            self.latest.process.kill()
            self.latest.process.wait()

    def records(self) -> list[dict[str, Any]]:
        """What is in the log. A line may be cut where an exporter was killed: it comes again."""
        found = []
        for line in self.log.read_bytes().split(b"\n"):
            for start in range(max(0, line.count(b'{"schema"'))):
                piece = b'{"schema"' + line.split(b'{"schema"')[start + 1]
                try:
                    found.append(json.loads(piece))
                except ValueError:
                    continue
        return [each for each in found if each["kind"] == "oom"]  # whom we end is told of, too


@pytest.mark.parametrize("upgrade", [False, True], ids=["same version", "with an upgrade"])
def test_killed_again_and_again(
    hook: str,
    pins: Path,
    stack: ExitStack,
    make_cgroups: MakeCgroups,
    tmp_path: Path,
    say: Say,
    upgrade: bool,
    pytestconfig: pytest.Config,
) -> None:
    kills, restarts = pytestconfig.getoption("--kills"), pytestconfig.getoption("--restarts")
    (cgroup,) = make_cgroups("/oomkill-chaos")
    another = tmp_path / "another.bpf.o"
    another.write_bytes(object_file.read_object() + b"\0")
    exporters = Exporters(hook, pins, tmp_path / "log")
    stack.callback(exporters.close)
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    before = read_kernel_kills()
    exporter = exporters.start()
    killing = Killing(tmp_path, cgroup, kills)
    for number in range(restarts):
        time.sleep(chance.random())
        exporter.process.kill()
        exporter.process.communicate()
        time.sleep(chance.random())
        newer = upgrade and number >= restarts // 2
        exporter = exporters.start(*(["--object", str(another)] if newer else []))
    still_going = killing.going()
    killed = killing.pids()
    waiting = 'container_oomkill_queue_length{queue="ring"}'
    deadline = time.monotonic() + BACKLOG_SECONDS
    while exporter.value(waiting):
        assert time.monotonic() < deadline, "the ring is never empty"
        time.sleep(0.5)
    eventually(lambda: {r["victims"][0]["pid"] for r in exporters.records()} >= set(killed))
    eventually(lambda: exporter.value("container_oomkill_unaccounted") == 0)
    eventually(lambda: len(list(pins.iterdir())) == 2)  # the checkpoint and one generation
    lost = exporter.value('container_oomkill_lost_total{reason="ring_full"}')
    exporter.process.kill()
    errors = exporter.process.communicate()[1]

    records = exporters.records()
    numbers: dict[tuple[int, int], set[int]] = {}
    for record in records:
        victim = record["victims"][0]
        numbers.setdefault((victim["pid"], record["boot_ns"]), set()).add(record["sequence"])
    repeats = len(records) - len(numbers)
    missing = len(killed) - len(numbers)
    after = read_kernel_kills()
    say(
        f"{'upgrade' if upgrade else 'restarts'}: {len(killed)} kills, {restarts} SIGKILLs"
        f"{'' if still_going else ' (the last ones after the kills)'}: {missing} missing, "
        f"{repeats} repeated under their own number, {lost:.0f} lost, unaccounted 0 (seed {seed})"
    )
    assert missing == 0
    assert lost == 0
    assert [len(own) for own in numbers.values()] == [1] * len(killed)
    assert len({min(own) for own in numbers.values()}) == len(killed)
    assert before is not None
    assert after == before + len(killed)
    assert "dropped" not in errors
