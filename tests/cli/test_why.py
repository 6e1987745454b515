# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill why`: how a container last ended, from the exporter or from files."""

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
from container_oomkill.incident.model import Container, Incident
from container_oomkill.killers.cause import explain
from container_oomkill.killers.model import Kill, Stop
from container_oomkill.sinks import json_lines
from container_oomkill.sinks.kill_record import render_kill

from ..support.incidents import HOSTILE, TIME, FakeProbe, container, incident, victim
from ..support.kills import by, kill

COMMAND = [sys.executable, "-m", "container_oomkill", "why"]
CART = container("app")
TERM = Stop(signal="SIGTERM", seconds_before=30.0, pid=4699, command="runc")


def oom(age: float, *, pid_in_container: int = 1, whose: Container = CART) -> Incident:
    at = int(TIME - age)
    return incident(
        at, time=TIME - age, boot_ns=at, container=whose,
        victims=(victim(pid=900, pid_in_container=pid_in_container),), verdict="its own limit",
    )  # fmt: skip


def other(age: float, *, whose: Container = CART, **changes: object) -> Kill:
    made = explain(kill(container=whose, stop=TERM, **changes))  # type: ignore[arg-type]
    return replace(made, time=TIME - age, boot_ns=int(TIME - age))


def told(wanted: str, *records: Incident | Kill) -> str:
    out = io.StringIO()
    tell(records, wanted, out, colour="never", now=TIME)
    return out.getvalue()


def test_the_last_end_whoever_it_was() -> None:
    text = told("app", oom(7200), other(60))
    assert text.startswith("shop/cart-7d9f4/app ended 1 min ago by SIGKILL (exit code 137):\n")
    assert "had been sent SIGTERM 30.0 s before" in text.replace("\n" + " " * 18, " ")
    assert text.endswith("before that: 1 kill by the OOM killer; it ended the container\n")
    text = told("app", oom(60), other(7200))
    assert "  OOM  shop/cart-7d9f4/app" in text
    assert text.endswith("before that: 1 kill by others; it ended the container\n")


def test_a_child_is_no_end() -> None:
    text = told("app", oom(60, pid_in_container=7))
    assert "is not known to have ended by SIGKILL; a process in it was killed 1 min ago" in text
    text = told("app", oom(60, pid_in_container=7), other(7200))
    assert "ended 2 h ago" in text
    assert text.endswith("since then: 1 kill by the OOM killer\n")


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ("app", 2),
        ("cart-7d9f4/app", 1),
        ("shop/cart-7d9f4/app", 1),
        ("SHOP/cart-7d9f4/app/", 1),
        ("other/cart-7d9f4/app", 0),
        ("a/b/c/app", 0),
        ("cdcd", 1),
        ("cd" * 32, 1),
        ("db-1", 1),
        ("ap", 2),
        ("nothing", 0),
    ],
)
def test_which_container(wanted: str, number: int) -> None:
    db = container("app", id="cd" * 32, pod="db-1")
    text = told(wanted, oom(60), other(30, whose=db), other(20, whose=container("appendix")))
    if wanted == "ap":
        assert text.count(" ago by SIGKILL") == 3
    else:
        assert text.count(" ago by SIGKILL") == number
    assert number or text == f"no SIGKILL of a container {wanted} has been recorded\n"


def test_many_of_that_name_are_not_all_told() -> None:
    many = [other(n, whose=container("app", pod=f"cart-{n}")) for n in range(8)]
    text = told("app", *many)
    assert text.count(" ago by SIGKILL") == 5
    assert text.endswith("and 3 more containers of that name: add --namespace or --pod\n")


def test_names_that_anyone_may_choose_do_no_harm() -> None:
    hostile = other(5, whose=container(HOSTILE), command=HOSTILE, killer=by(HOSTILE))
    for text in (told(HOSTILE, hostile), told(HOSTILE)):
        assert all(char.isprintable() or char == "\n" for char in text)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def serving() -> Iterator[Exporter]:
    settings = ExporterSettings(listen_addresses=("127.0.0.1:0",))
    with Exporter(settings, FakeProbe(), version="1", render=json_lines.render) as exporter:
        exporter.start()
        yield exporter


def test_a_running_exporter_is_asked(serving: Exporter) -> None:
    serving.sink(oom(60))
    serving.kill_sink(other(30))
    result = run("app", "--url", f"http://{serving.addresses[0]}")
    assert (result.returncode, result.stderr) == (0, "")
    assert "  KILL  shop/cart-7d9f4/app  its time to stop ran out" in result.stdout
    result = run("nothing", "--url", f"http://{serving.addresses[0]}")
    assert (result.returncode, result.stderr) == (0, "")
    assert "no SIGKILL of a container nothing" in result.stdout


def test_a_history_is_read_with_the_file_beside_it(tmp_path: Path) -> None:
    history = tmp_path / "history"
    history.write_text(json_lines.render(oom(60)) + "\n")
    assert "  OOM  " in run("app", "--from", str(history)).stdout
    (tmp_path / "history.kills").write_text(render_kill(other(30)) + "\n")
    assert "  KILL  " in run("app", "--from", str(history)).stdout


def test_a_recording_may_have_both_kinds(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    recording.write_text(f"{json_lines.render(oom(60))}\n{render_kill(other(30))}\n")
    assert "  KILL  " in run("app", "--from", str(recording)).stdout
    recording.write_text(recording.read_text() + '{"schema":1,"kind":"kill"')
    cut = run("app", "--from", str(recording))
    assert cut.returncode == 1
    assert "  KILL  " in cut.stdout
    assert "line 3: not JSON" in cut.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ((), 2, "the following arguments are required: CONTAINER"),
        (("",), 2, "expected the name of a container"),
        (("app", "--from", "/none"), 2, "no such file or directory"),
        (("app", "--url", "nonsense"), 2, "expected http://HOST:PORT"),
        (("app", "--url", "http://127.0.0.1:1"), 1, "is the exporter running?"),
        (("app", "--since", "x"), 2, "--since"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: tuple[str, ...], status: int, reason: str
) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_show_lists_them_behind_the_incidents(serving: Exporter) -> None:
    serving.sink(oom(60))
    serving.kill_sink(other(30))
    show = [*COMMAND[:-1], "show", "--url", f"http://{serving.addresses[0]}"]
    listed = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert listed.index("its own limit") < listed.index("1 kill by others, the latest:")
    id_ = other(30).id
    one = subprocess.run([*show, id_], capture_output=True, text=True, check=True).stdout
    assert "  KILL  shop/cart-7d9f4/app" in one


def test_replay_prints_both_kinds(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    recording.write_text(f"{json_lines.render(oom(60))}\n{render_kill(other(30))}\n")
    replay = [*COMMAND[:-1], "replay", "-o", "json", str(recording)]
    lines = subprocess.run(replay, capture_output=True, text=True, check=True).stdout
    assert [json.loads(line)["kind"] for line in lines.splitlines()] == ["oom", "kill"]


def test_an_exporter_that_knows_of_none_is_asked_all_the_same(tmp_path: Path) -> None:
    """One of before there were kills by others answers 404."""
    settings = ExporterSettings(listen_addresses=(f"unix:{tmp_path}/socket",))
    with Exporter(settings, FakeProbe(), version="1", render=json_lines.render) as exporter:
        exporter.start()
        exporter.sink(oom(60))
        client = exporter_client.Exporter(f"unix:{tmp_path}/socket")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exporter_client, "KILLS_PATH", "/api/v1/none")
            assert client.kills() == []
        assert len(client.incidents()) == 1
