# SPDX-License-Identifier: Apache-2.0
"""Hooks that stay in the kernel while no process runs, and what the next one finds."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.libbpf import PinnedMaps
from container_oomkill.probe import object_file
from container_oomkill.probe.checkpoint import PinnedCheckpoint
from container_oomkill.probe.kernel_counts import read_kernel_kills
from container_oomkill.probe.pins import CHECKPOINT

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.command import assert_refused, run
from ..support.kernel.exporter import Exporter, address_of, incidents, start
from ..support.kernel.processes import DEADLINE, Hog, Recorder
from ..support.waiting import eventually

pytestmark = pytest.mark.needs("the whole matrix")

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A bpf file system of the test's own."""
    where = tmp_path / "bpf"
    where.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", str(where)], check=True)
    yield where
    subprocess.run(["umount", str(where)], check=True)


def cannot_pin(hook: str) -> bool:
    """Perf events, below kprobes, became links in v5.15."""
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    return hook == "kprobe" and version < (5, 15)


@pytest.fixture
def folder(mount: Path, hook: str) -> Path:
    """A folder for pins."""
    if cannot_pin(hook):
        pytest.skip("kprobes cannot be pinned here: test_a_hook_that_cannot_pin has that")
    return mount / "pins"


@pytest.fixture
def kill(make_cgroups: MakeCgroups, hog: StartHog) -> Callable[[], int]:
    """Have one process killed, and return its pid."""
    (cgroup,) = make_cgroups("/oomkill-pinned")
    cgroup.limit(16)

    def kill() -> int:
        started = hog(cgroup, "anon 32")
        assert started.was_killed()
        return started.pid

    return kill


def pids(records: list[dict[str, Any]]) -> list[int]:
    return [record["victims"][0]["pid"] for record in records]


def take(recorder: Recorder, count: int) -> list[dict[str, Any]]:
    return [recorder.record() for _ in range(count)]


def assert_numbered_on(records: list[dict[str, Any]], *recorders: Recorder) -> None:
    """From 1, each once, without a gap, over all that these told one after the other.

    Others on this machine may be killed meanwhile. A recorder that is killed may have told one of
    those kills and not noted it; the next tells it again, under its number.
    """
    told = [each for recorder in recorders for each in recorder.rest()]
    ours = [each.sequence for each in told if each.ours]
    assert ours == [record["sequence"] for record in records]
    numbers = {each.sequence: each for each in told}
    assert all(numbers[each.sequence] == each for each in told)
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def entered(folder: Path, incident: int) -> None:
    """Wait until the checkpoint has it: a process killed right before is followed by a repeat."""

    def has_it() -> bool:
        with PinnedMaps(str(folder)) as maps, PinnedCheckpoint(maps.map_fd(CHECKPOINT)) as kept:
            return kept.incident >= incident

    eventually(has_it)


def kernel_kills() -> int:
    kills = read_kernel_kills()
    assert kills is not None
    return kills


def another_object(tmp_path: Path) -> Path:
    """The same programs with another checksum, as another build would have."""
    data = object_file.read_object()
    path = tmp_path / "another.bpf.o"
    path.write_bytes(data + b"\0")
    return path


def test_kills_while_no_process_runs(hook: str, folder: Path, kill: Callable[[], int]) -> None:
    with Recorder(hook, "--pin", str(folder)) as first:
        killed = [kill()]
        records = take(first, 1)
        assert first.stop() == 0
    before = time.time()
    killed += [kill() for _ in range(3)]
    after = time.time()
    with Recorder(hook, "--pin", str(folder)) as second:
        records += take(second, 3)
        killed.append(kill())
        records += take(second, 1)
        second.process.kill()
    assert pids(records) == killed
    assert_numbered_on(records, first, second)
    for record in records[1:4]:
        uptime = record["boot_ns"] / 1e9
        clock = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)
        assert before <= uptime + clock <= after


def test_what_pinned_hooks_recorded_was_not_missed(
    hook: str, folder: Path, kill: Callable[[], int]
) -> None:
    missed = "container_oomkill_missed_while_down"
    with start(hook, f"--pin={folder}") as process:
        first = Exporter(process, address_of(process))
        assert first.value(missed) is None  # who knows what was before
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    pid = kill()
    with start(hook, f"--pin={folder}") as process:
        second = Exporter(process, address_of(process))
        assert eventually(lambda: incidents(second, pid))
        assert second.value(missed) == 0
        process.kill()


def test_another_version_takes_over(
    hook: str, folder: Path, kill: Callable[[], int], tmp_path: Path
) -> None:
    """Kills before, with no process, in the overlap and after it: each once, numbered on."""
    with Recorder(hook, "--pin", str(folder)) as first:
        killed = [kill()]
        records = take(first, 1)
        entered(folder, records[-1]["sequence"])
        first.process.kill()
    killed += [kill(), kill()]
    another = str(another_object(tmp_path))
    with Recorder(hook, "--pin", str(folder), "--object", another) as recorder:
        killed += [kill() for _ in range(3)]
        records += take(recorder, 5)
        while len(list(folder.iterdir())) > 2:  # the checkpoint, and one generation
            assert recorder.process.poll() is None
            killed.append(kill())
            records += take(recorder, 1)
        killed.append(kill())
        records += take(recorder, 1)
        assert recorder.stop() == 0
        assert recorder.errors() == ""
    assert pids(records) == killed
    assert_numbered_on(records, first, recorder)


def test_killed_in_the_middle_of_taking_over(
    hook: str, folder: Path, kill: Callable[[], int], tmp_path: Path
) -> None:
    another = str(another_object(tmp_path))
    with Recorder(hook, "--pin", str(folder)) as first:
        first.process.kill()
    killed, records = [kill()], []
    with Recorder(hook, "--pin", str(folder), "--object", another) as second:
        killed.append(kill())
        records += take(second, 2)
        entered(folder, records[-1]["sequence"])
        second.process.kill()
    killed.append(kill())
    with Recorder(hook, "--pin", str(folder), "--object", another) as recorder:
        killed.append(kill())
        records += take(recorder, 2)
        while len(list(folder.iterdir())) > 2:
            assert recorder.process.poll() is None
            time.sleep(0.1)
        killed.append(kill())
        records += take(recorder, 1)
        assert recorder.stop() == 0
    assert pids(records) == killed
    assert_numbered_on(records, first, second, recorder)


# Runs the command, and ends as if by SIGKILL where a function is called. Both versions are attached
# until a signal says that the kill has been told, however slow the machine is.
ENDING_AT = """
import os, signal, sys, time
from container_oomkill.{module} import {owner}
{owner}.{function} = lambda *_: os._exit(9)
from container_oomkill.pipeline import pipeline

class Clock:
    time, passed = time.time, 0
    monotonic = classmethod(lambda cls: time.monotonic() + cls.passed)

pipeline.time, pipeline.OVERLAP_SECONDS = Clock, 1000
signal.signal(signal.SIGUSR1, lambda *_: setattr(Clock, "passed", 1000))
from container_oomkill.cli.main import main
sys.argv[1:] = sys.argv[3:]  # behind the interpreter and the command
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "owner", "function"),
    [("probe.checkpoint", "PinnedCheckpoint", "switch_to"), ("libbpf.ring", "Ring", "rewind")],
    ids=["before its checkpoint says so", "after it"],
)
def test_killed_at_the_very_change(
    hook: str,
    folder: Path,
    kill: Callable[[], int],
    tmp_path: Path,
    module: str,
    owner: str,
    function: str,
) -> None:
    another = str(another_object(tmp_path))
    with Recorder(hook, "--pin", str(folder)) as first:
        first.process.kill()
    script = ENDING_AT.format(module=module, owner=owner, function=function)
    with Recorder(
        hook, "--pin", str(folder), "--object", another, wrap=[sys.executable, "-c", script]
    ) as second:
        killed = [kill()]
        records = take(second, 1)
        second.process.send_signal(signal.SIGUSR1)
        assert second.process.wait(DEADLINE) == 9
    killed.append(kill())
    with Recorder(hook, "--pin", str(folder), "--object", another) as recorder:
        records += take(recorder, 1)
        assert recorder.stop() == 0
    assert pids(records) == killed
    assert_numbered_on(records, first, second, recorder)


def test_a_foreign_layout_is_counted_not_read(
    hook: str, folder: Path, kill: Callable[[], int]
) -> None:
    before = kernel_kills()
    with Recorder(hook, "--pin", str(folder)) as recorder:
        recorder.process.kill()
    kill()
    (made,) = folder.glob("*-layout*")
    number, _, rest = made.name.split("-", 2)
    made.rename(folder / f"{number}-layout999-{rest}")
    with Recorder(hook, "--pin", str(folder)) as recorder:
        killed = kill()
        assert pids(take(recorder, 1)) == [killed]
        assert recorder.stop() == 0
        (lost,) = re.findall(
            r"dropped (\d+) records?: written by an incompatible version", recorder.errors()
        )
    assert 1 <= int(lost) < kernel_kills() - before  # ours, and those of others on this machine
    assert not list(folder.glob("*-layout999-*"))


def test_two_processes(hook: str, folder: Path) -> None:
    with Recorder(hook, "--pin", str(folder)) as recorder:
        pid = recorder.process.pid
        assert_refused(run("probe", "--pin", str(folder)), 1, f"in use by process {pid}")
        assert_refused(run("unpin", str(folder)), 1, f"in use by process {pid}")
        recorder.process.send_signal(signal.SIGTERM)
        assert recorder.process.wait(DEADLINE) == 0


def test_unpin_removes_everything(hook: str, folder: Path, kill: Callable[[], int]) -> None:
    before = kernel_kills()
    with Recorder(hook, "--pin", str(folder)) as recorder:
        recorder.process.kill()
    kill()
    done = run("unpin", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    (left,) = re.findall(r"with (\d+) undelivered records?", done.stdout)
    assert 1 <= int(left) <= kernel_kills() - before  # ours, and those of others on this machine
    assert not folder.exists()
    done = run("unpin", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"nothing is pinned in {folder}\n"


def test_where_nothing_can_be_pinned(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "no-bpf-file-system"
    assert_refused(run("probe", "--pin", str(wrong)), 3, str(wrong), "not on a bpf file system")
    assert not wrong.exists()
    subprocess.run(["mount", "-o", "remount,ro", str(folder.parent)], check=True)
    assert_refused(run("probe", "--pin", str(folder)), 3, "read-only file system", "remount,rw")


def test_a_hook_that_cannot_pin(hook: str, mount: Path) -> None:
    """It is refused by name, nothing of it stays, and the pins take another one."""
    if not cannot_pin(hook):
        pytest.skip("every program of this hook can be pinned here")
    folder = str(mount / "pins")
    assert_refused(run("probe", "--hook", hook, "--pin", folder), 3, "kprobe: pin", "doctor")
    assert not list(Path(folder).glob("*-layout*"))
    with Recorder("raw_tracepoint", "--pin", folder) as recorder:
        assert recorder.stop() == 0
    assert list(Path(folder).glob("*-raw_tracepoint-*"))


NOBODY = 65534


def prepared(folder: Path, elsewhere: Path) -> None:
    """What a local user can put on a bpf file system that is mounted as usual, for all to write."""
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    link = folder / "1-layout1-raw_tracepoint-00000abc"
    link.symlink_to(elsewhere)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)


@pytest.mark.parametrize("command", [("probe", "--pin"), ("unpin",)], ids=["probe", "unpin"])
def test_a_folder_that_a_user_has_prepared(
    mount: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """It is refused by name, and nothing is removed, inside or through its links."""
    assert mount.stat().st_mode & 0o1777 == 0o1777
    folder = mount / "pins"
    folder.mkdir(0o755)
    prepared(folder, tmp_path / "elsewhere")
    os.chown(folder, NOBODY, NOBODY)
    assert_refused(run(*command, str(folder)), 3, f"{folder} belongs to user {NOBODY}")
    assert (tmp_path / "elsewhere" / "precious").exists()
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("command", [("probe", "--pin"), ("unpin",)], ids=["probe", "unpin"])
def test_a_folder_that_a_user_leads_elsewhere(
    mount: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """A link to a folder of root's, where only root could have put what is in it."""
    (mount / "roots").mkdir(0o700)
    prepared(mount / "roots", tmp_path / "elsewhere")
    folder = mount / "pins"
    folder.symlink_to(mount / "roots")
    os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)
    assert_refused(run(*command, str(folder)), 3, f"{folder} is a symbolic link")
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_no_mount_but_the_usual_one(mount: Path) -> None:
    """`--pin` alone never takes a bpf file system that was mounted for another's use."""
    if os.path.ismount("/sys/fs/bpf"):
        pytest.skip("/sys/fs/bpf is mounted here: the usual folder is there")
    words = "/sys/fs/bpf/container-oomkill: not on a bpf file system: mount -t bpf bpf /sys/fs/bpf"
    assert_refused(run("probe", "--pin"), 3, words)
    assert not (mount / "container-oomkill").exists()


def test_doctor_pins_what_attaches_and_leaves_nothing() -> None:
    """Where a bpf file system is mounted as usual; this one is doctor's alone."""
    script = (
        'mount -t bpf bpf /sys/fs/bpf && "$@"; done=$?; ls -d /sys/fs/bpf/container-*; exit $done'
    )
    done = run("doctor", "-o", "json", wrap=["unshare", "--mount", "sh", "-c", script, "sh"])
    assert (done.returncode, done.stderr.count("No such file")) == (0, 1), done.stderr
    findings = json.loads(done.stdout)["findings"]
    attached = {name for name, finding in findings["hooks"].items() if finding["ok"]}
    assert attached == set(findings["pinning"])
    pinned = {name for name, finding in findings["pinning"].items() if finding["ok"]}
    assert pinned == {name for name in attached if not cannot_pin(name)}
