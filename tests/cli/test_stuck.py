# SPDX-License-Identifier: Apache-2.0
"""Out of memory without a kill in `why`, `show` and `replay`: as kills by others are."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from container_oomkill.cli import exporter_client
from container_oomkill.cli.why import tell
from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.killers.cause import explain as explain_kill
from container_oomkill.sinks import json_lines
from container_oomkill.sinks.ends import Record
from container_oomkill.sinks.kill_record import render_kill
from container_oomkill.sinks.stuck_record import render_stuck
from container_oomkill.stuck.cause import explain
from container_oomkill.stuck.model import Stuck

from ..support.incidents import HOSTILE, TIME, FakeProbe, container, incident
from ..support.kills import kill
from ..support.stuck import stuck


def episode(age: float, *, ended: bool = True, **changes: object) -> Stuck:
    made = stuck(time=TIME - age, boot_ns=int(TIME - age), **changes)  # type: ignore[arg-type]
    return explain(replace(made, stuck=replace(made.stuck, ended=ended)))


def told(wanted: str, *records: Record) -> str:
    out = io.StringIO()
    tell(records, wanted, out, colour="never", now=TIME)
    return out.getvalue()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "container_oomkill", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_why_without_an_end() -> None:
    text = told("app", episode(60), episode(7200))
    first, second, head, *_ = text.splitlines()
    assert first == "shop/cart-7d9f4/app is not known to have ended by SIGKILL"
    assert second == "out of memory without a kill 57 s ago:"
    assert head.endswith("  STUCK  shop/cart-7d9f4/app  nothing may be killed for 3.0 s")
    assert "  why     its limit (24.0 MiB) was reached 471 times" in text
    assert text.endswith("before that: 1 time\n")
    assert "out of memory without a kill now:" in told("app", episode(60, ended=False))


def test_why_behind_an_end() -> None:
    ended = replace(explain_kill(kill(container=container("app"))), time=TIME - 30)
    text = told("app", episode(60), ended)
    assert text.index("ended 30 s ago by SIGKILL (exit code 137):") < text.index("  KILL  ")
    assert text.index("  KILL  ") < text.index("out of memory without a kill 57 s ago:")


def test_names_that_anyone_may_choose_do_no_harm() -> None:
    hostile = episode(5, container=container(HOSTILE), cgroup=f"/{HOSTILE}")
    assert all(char.isprintable() or char == "\n" for char in told(HOSTILE, hostile))


@pytest.fixture
def serving() -> Iterator[Exporter]:
    settings = ExporterSettings(listen_addresses=("127.0.0.1:0",))
    with Exporter(settings, FakeProbe(), version="1", render=json_lines.render) as exporter:
        exporter.start()
        yield exporter


def test_a_running_exporter_is_asked(serving: Exporter) -> None:
    url = f"http://{serving.addresses[0]}"
    serving.sink(incident())
    serving.stuck_sink(episode(60))
    assert "  STUCK  shop/cart-7d9f4/app" in command("why", "app", "--url", url).stdout
    listed = command("show", "--url", url)
    assert listed.returncode == 0
    line = next(line for line in listed.stdout.splitlines() if episode(60).id in line)
    assert line.endswith("shop/cart-7d9f4/app  nothing may be killed for 3.0 s")
    assert "1 time out of memory without a kill, the latest:" in listed.stdout
    one = command("show", "--url", url, episode(60).id, "-o", "json")
    assert json.loads(one.stdout)["kind"] == "stuck"


def test_an_exporter_that_knows_of_none_is_asked_all_the_same(tmp_path: Path) -> None:
    """One of before there were such records answers 404."""
    settings = ExporterSettings(listen_addresses=(f"unix:{tmp_path}/socket",))
    with Exporter(settings, FakeProbe(), version="1", render=json_lines.render) as exporter:
        exporter.start()
        client = exporter_client.Exporter(f"unix:{tmp_path}/socket")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exporter_client, "STUCK_PATH", "/api/v1/none")
            assert client.stuck() == []


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    lines = json_lines.render(incident()), render_kill(explain_kill(kill()))
    path.write_text("".join(f"{line.strip()}\n" for line in (*lines, render_stuck(episode(60)))))
    return path


def test_a_recording_has_every_kind(recording: Path) -> None:
    assert "  STUCK  " in command("why", "app", "--from", str(recording)).stdout
    listed = command("show", "--from", str(recording))
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "1 kill by others, the latest:" in listed.stdout
    assert "1 time out of memory without a kill, the latest:" in listed.stdout
    for record in (kill(), episode(60)):
        one = command("show", "--from", str(recording), record.id, "-o", "json")
        assert json.loads(one.stdout)["id"] == record.id
    other = command("show", "--from", str(recording), "--namespace", "x")
    assert "by others" not in other.stdout
    assert "out of memory" not in other.stdout


@pytest.mark.parametrize("output", ["text", "json", "logfmt"])
def test_replay_prints_every_kind(recording: Path, output: str) -> None:
    result = command("replay", "-o", output, str(recording))
    assert (result.returncode, result.stderr) == (0, "")
    where = [result.stdout.index(kind) for kind in KINDS[output]]
    assert where == sorted(where)


KINDS = {
    "text": ("  OOM  ", "  KILL  ", "  STUCK  "),
    "json": ('"kind":"oom"', '"kind":"kill"', '"kind":"stuck"'),
    "logfmt": ("kind=oom", "kind=kill", "kind=stuck"),
}


def test_replay_concludes_again_or_gives_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_text(render_stuck(replace(episode(60), verdict="of an earlier version")) + "\n")
    again = json.loads(command("replay", "-o", "json", str(path)).stdout)
    assert again["verdict"] == episode(60).verdict
    kept = json.loads(command("replay", "-o", "json", "--as-recorded", str(path)).stdout)
    assert kept["verdict"] == "of an earlier version"


def test_a_history_is_read_with_the_files_beside_it(tmp_path: Path) -> None:
    history = tmp_path / "history"
    history.write_text(json_lines.render(incident()))
    (tmp_path / "history.kills").write_text(render_kill(explain_kill(kill())) + "\n")
    (tmp_path / "history.stuck").write_text(render_stuck(episode(60)) + "\n")
    assert "  STUCK  " in command("why", "app", "--from", str(history)).stdout
    listed = command("show", "--from", str(history)).stdout
    assert "1 kill by others, the latest:" in listed
    assert "1 time out of memory without a kill, the latest:" in listed
    (tmp_path / "history.stuck").write_text("nonsense\n")
    broken = command("show", "--from", str(history))
    assert broken.returncode == 1
    assert "1 kill by others, the latest:" in broken.stdout
    assert "history.stuck, line 1: not JSON" in broken.stderr
