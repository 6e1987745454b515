# SPDX-License-Identifier: Apache-2.0
"""Faults around a probe, each with the outcome that docs/security.md states."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.errors import Error, UsageError
from container_oomkill.probe import object_file

from ..support.chaos.killing import Killing
from ..support.exporter_process import running
from ..support.history import names, numbers, opened, refused, write
from ..support.incidents import incident
from ..support.kernel.cgroups import Cgroup
from ..support.kernel.exporter import Exporter, start
from ..support.kernel.processes import COMMAND, DEADLINE, Hog, Recorder
from ..support.waiting import eventually

Say = Callable[[str], None]
MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
STORM = 300
DISK_BYTES = 1 << 18  # some sixty records


@pytest.fixture
def cgroup(make_cgroups: MakeCgroups) -> Cgroup:
    return make_cgroups("/oomkill-fault")[0]


@pytest.fixture
def kill(cgroup: Cgroup, tmp_path: Path) -> Callable[[int], list[int]]:
    return lambda count: Killing(tmp_path, cgroup, count).pids()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system with nothing left, and a file ``ballast`` that gives it back."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = f"size={DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)], check=True)
    (disk / "ballast").write_bytes(b"\0" * DISK_BYTES)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def victim(record: dict[str, Any]) -> int:
    pid: int = record["victims"][0]["pid"]
    return pid


def test_a_storm_with_the_reader_stopped(
    hook: str, kill: Callable[[int], list[int]], say: Say
) -> None:
    with Recorder(hook, "--ring-bytes", "16384") as recorder:
        recorder.process.send_signal(signal.SIGSTOP)
        killed = kill(STORM)
        recorder.process.send_signal(signal.SIGCONT)
        records = [recorder.record()]
        (last,) = kill(1)
        while victim(records[-1]) != last:
            records.append(recorder.record())
        assert recorder.stop() == 0
        lost = sum(int(each) for each in re.findall(r"dropped (\d+) records?", recorder.errors()))
    kept = len(records) - 1
    say(f"storm: {STORM} kills with the reader stopped: {kept} kept, {lost} counted as lost")
    assert [victim(each) for each in records] == [*killed[:kept], last]
    assert kept + lost == STORM
    assert lost > 0


def test_a_full_disk(
    hook: str, pins: Path, kill: Callable[[int], list[int]], full_disk: Path, say: Say
) -> None:
    """Exit 1 with one line; the record stays in the ring, and comes when there is room."""

    def probe(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(COMMAND), "probe", "-o", "json", "--hook", hook]
        with (full_disk / "kills").open("ab") as out:
            return subprocess.Popen(
                [*command, "--pin", str(pins), *options], stdout=out, stderr=subprocess.PIPE
            )

    first = probe()
    assert first.stderr is not None
    assert first.stderr.readline().startswith(b"container-oomkill: attached")
    killed = kill(1)
    errors = first.communicate(timeout=DEADLINE)[1].decode()
    assert first.returncode == 1
    assert errors == "container-oomkill: write to standard output: no space left on device\n"
    killed += kill(1)
    (full_disk / "ballast").unlink()
    second = probe("--count", "2")
    assert second.communicate(timeout=DEADLINE)[1] is not None
    assert second.returncode == 0
    lines = (full_disk / "kills").read_text().splitlines()
    assert [victim(json.loads(line)) for line in lines] == killed
    say("full disk: exit 1, one line; both kills written by the next process, which has room")


def test_a_log_that_nobody_reads(
    hook: str, cgroup: Cgroup, kill: Callable[[int], list[int]], say: Say
) -> None:
    """The metrics have every kill; what the log could not take is counted."""
    kills, queue = 60, 5
    with start(hook, "--log.incidents", "json", "--log.queue-size", str(queue)) as process:
        try:
            assert process.stderr is not None
            exporter = Exporter(process, process.stderr.readline().split()[-1])
            kill(kills)
            labels = f'container="{cgroup.path[1:]}",namespace="",pod="",scope="container"'
            labels += ',workload=""'
            series = f"container_oomkill_total{{{labels}}}"
            eventually(lambda: exporter.value(series) == kills)
            length = exporter.value('container_oomkill_queue_length{queue="log"}') or 0
            lost = exporter.value('container_oomkill_lost_total{reason="log"}') or 0
            assert length <= queue + 1
            assert lost > 0
            assert exporter.value("container_oomkill_unaccounted") == 0
            assert process.stdout is not None
            process.send_signal(signal.SIGTERM)
            written = process.stdout.read().count("\n")
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
    say(f"unread log: {kills} kills on /metrics, {written} in the log, {lost:.0f} lost to it")
    assert written + lost == kills


def test_an_upgrade_while_nobody_reads_the_log(
    hook: str, pins: Path, kill: Callable[[int], list[int]], tmp_path: Path, say: Say
) -> None:
    """The older ring does not wait for the log: that has its queue. The numbers go on."""
    before, after = 100, 20  # more than a pipe holds
    with Recorder(hook, "--pin", str(pins)) as recorder:
        recorder.process.kill()
    killed = kill(before)
    another = tmp_path / "another.bpf.o"
    another.write_bytes(object_file.read_object() + b"\0")
    options = ("--pin", str(pins), "--object", str(another), "--log.incidents", "json")
    with start(hook, *options) as process:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            exporter = Exporter(process, process.stderr.readline().split()[-1])
            eventually(lambda: len(list(pins.iterdir())) == 2)  # the checkpoint and one generation
            killed += kill(after)
            records = [json.loads(process.stdout.readline()) for _ in killed]
            waiting = [
                f'container_oomkill_queue_length{{queue="{name}"}}' for name in ("log", "ring")
            ]
            # What is still in one of them would be told once more.
            eventually(lambda: [exporter.value(each) for each in waiting] == [0, 0])
            assert exporter.value("container_oomkill_unaccounted") == 0
        finally:
            process.kill()
    with Recorder(hook, "--pin", str(pins), "--object", str(another)) as recorder:
        killed += kill(1)
        records.append(recorder.record())
    assert [victim(each) for each in records] == killed
    assert [each["sequence"] for each in records] == list(range(1, len(killed) + 1))
    say(f"upgrade with an unread log: {len(killed)} kills, each once in it, numbered on")


def test_without_proc(
    hook: str, cgroup: Cgroup, kill: Callable[[int], list[int]], say: Say
) -> None:
    """Kills are recorded all the same; what only /proc tells is unknown."""
    wrap = ["unshare", "--mount", "sh", "-c", 'umount -l /proc; exec "$@"', "sh"]
    with Recorder(hook, wrap=wrap) as recorder:
        killed = kill(1)
        record = recorder.record()
        assert [victim(record)] == killed
        assert record["domain"]["cgroup"] == cgroup.path
        assert recorder.stop() == 0
        assert recorder.errors() == ""
    say("/proc unmounted: recorded and named as ever")


def test_a_cgroup_that_is_gone_at_once(
    hook: str, make_cgroups: MakeCgroups, tmp_path: Path, say: Say
) -> None:
    (cgroup,) = make_cgroups("/oomkill-short-lived")
    with Recorder(hook) as recorder:
        recorder.process.send_signal(signal.SIGSTOP)
        killed = Killing(tmp_path, cgroup, 1).pids()
        number = cgroup.id()
        cgroup.remove()
        recorder.process.send_signal(signal.SIGCONT)
        record = recorder.record()
        assert [victim(record)] == killed
        assert record["domain"]["cgroup"] == cgroup.path
        assert record["domain"]["cgroup_id"] == number
    cgroup.folder.mkdir()  # for the fixture to remove
    say("cgroup removed before the record is read: path and id are in the record")


@pytest.mark.needs("guest")
def test_a_clock_set_back(
    hook: str, pins: Path, kill: Callable[[int], list[int]], say: Say
) -> None:
    """Order and distance are the kernel's; the date is by the clock when the record is read."""
    hour = 3600
    with Recorder(hook, "--pin", str(pins)) as recorder:
        recorder.process.kill()
    killed = kill(2)
    now = time.time()
    time.clock_settime(time.CLOCK_REALTIME, now - hour)
    try:
        with Recorder(hook, "--pin", str(pins)) as recorder:
            records = [recorder.record(), recorder.record()]
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.time() + hour)
    assert [victim(each) for each in records] == killed
    assert records[0]["boot_ns"] < records[1]["boot_ns"]
    assert records[0]["time"] < records[1]["time"]
    say("clock set back an hour: order kept, times by the clock as it was when they were read")


@pytest.mark.needs("guest")
def test_the_node_runs_out(hook: str, hog_program: Path, say: Say) -> None:
    """The exporter lives and has the record."""
    with start(hook, "--log.incidents", "off") as process:
        hogs: list[subprocess.Popen[bytes]] = []
        try:
            assert process.stderr is not None
            exporter = Exporter(process, process.stderr.readline().split()[-1])
            Path("/proc/self/oom_score_adj").write_text("-1000")
            total = int(Path("/proc/meminfo").read_text().split()[1]) >> 10
            command = [str(hog_program), *["adj", "500", "anon", "250", "wait"]]
            hogs += [subprocess.Popen(command) for _ in range(total // 250 + 2)]
            eventually(lambda: any(each.poll() == -signal.SIGKILL for each in hogs))
            for each in hogs:  # or it has to read its program in again and again, to answer
                each.kill()
            eventually(lambda: '"scope":"node"' in exporter.get("/api/v1/incidents"))
            incidents = json.loads(exporter.get("/api/v1/incidents"))["incidents"]
            assert {victim(each) for each in incidents} <= {each.pid for each in hogs}
            assert process.poll() is None
        finally:
            Path("/proc/self/oom_score_adj").write_text("0")
            process.kill()
            for each in hogs:
                each.kill()
                each.wait()
    say(f"node-wide OOM of {total} MiB: the exporter lives, {len(incidents)} records")


@pytest.mark.needs("no emulation")
def test_memory_stays(say: Say) -> None:
    """Incidents of ever new containers push the oldest out; nothing grows."""
    few, many = 1_000, 100_000
    with running() as child:
        child.tell(f"kills {few}")
        before = child.memory("Rss")
        child.tell(f"kills {many}")
        after = child.memory("Rss")
    say(f"memory: {before >> 10} KiB after {few}, {after >> 10} KiB after {many} containers")
    assert after <= 1.1 * before


def test_a_history_on_a_full_disk(full_disk: Path, say: Say) -> None:
    """What does not fit is counted; with room again it goes on, and no line is cut."""
    path = full_disk / "history"
    lost: list[None] = []
    with closing(opened(path, max_incidents=8, on_lost=lambda: lost.append(None))) as file:
        for number in range(1, 4):
            file(incident(number))
        assert len(lost) == 3  # nothing is left at all
        (full_disk / "ballast").unlink()
        for number in range(4, 101):  # 8 at a time, replaced beside themselves
            file(incident(number))
        assert len(lost) == 3
        fill(full_disk / "ballast")
        for number in range(101, 131):
            file(incident(number))
        full = len(lost) - 3
        assert full > 20
        read = [json.loads(line) for line in path.read_text().splitlines() if line]
        assert [each["sequence"] for each in read][-8:] == numbers_from(130 - full - 7, 8)
        (full_disk / "ballast").unlink()
        file(incident(131))
    kept = numbers(path, max_incidents=8)
    assert kept == [*numbers_from(130 - full - 6, 7), 131]
    assert names(path) == ["history"]
    say(f"full disk: the history lost {full} of 30, counted; 1 of 1 taken when there was room")


def numbers_from(first: int, count: int) -> list[int]:
    return list(range(first, first + count))


def fill(path: Path) -> None:
    """Leave nothing."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass


def test_a_damaged_history_on_a_full_disk(full_disk: Path) -> None:
    """It is not mended, and not made worse; the exporter goes on without."""
    path = full_disk / "history"
    (full_disk / "ballast").unlink()
    write(path, 8)
    damaged = b"x" + path.read_bytes()
    path.write_bytes(damaged)
    fill(full_disk / "ballast")
    with pytest.raises(Error, match="no space left on device") as error:
        opened(path)
    assert not isinstance(error.value, UsageError)
    assert path.read_bytes() == damaged
    (full_disk / "ballast").unlink()
    assert numbers(path) == numbers_from(1, 8)


def test_a_history_on_a_disk_that_is_read_only(full_disk: Path) -> None:
    path = full_disk / "history"
    (full_disk / "ballast").unlink()
    write(path, 2)
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    assert "read-only file system" in refused(path)
    assert "read-only file system" in refused(full_disk / "another")
