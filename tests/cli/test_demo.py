# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill demo`: real incidents in the package, for whoever has no privileges."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from container_oomkill.cli.demo import RECORDING
from container_oomkill.cli.recording import read_recording, replay
from container_oomkill.incident.model import Incident
from container_oomkill.incident.shapes import SHAPES

from ..support import unprivileged

ROOT = Path(__file__).parents[2]
MAX_BYTES = 120_000
EARLIER = [ROOT / "deploy/docker/recording.jsonl", *(ROOT / "tests/data/reports").iterdir()]


def incidents() -> list[Incident]:
    explained: list[Incident] = []
    replay(str(RECORDING), explained.append)
    return explained


def test_the_recording_is_small_and_of_about_twenty() -> None:
    assert RECORDING.stat().st_size < MAX_BYTES
    found = list(read_recording(str(RECORDING)))
    assert len(found) >= 20
    assert [each.time for each in found] == sorted(each.time for each in found)
    assert len({each.id for each in found}) == len(found)


def test_they_show_what_the_product_can_tell() -> None:
    found = incidents()
    assert {each.scope for each in found} >= {"container", "pod", "node"}
    assert {each.before.shape for each in found if each.before} >= {*SHAPES}
    assert any(each.oom.group for each in found)
    assert any(each.victims[0].from_outside for each in found)
    assert all(each.verdict for each in found)


def test_each_one_is_in_the_document_with_where_it_came_from() -> None:
    text = (ROOT / "docs/demo.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([0-9a-f]+-[0-9]+)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(each.id for each in incidents())
    assert f"\n{len(rows)} kills that really happened" in text
    assert f"[{len(rows)} real kills]" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_what_was_recorded_earlier_is_in_it_unchanged(path: Path) -> None:
    found = {each.id: each for each in read_recording(str(RECORDING))}
    (record,) = read_recording(str(path))
    assert found[record.id] == record


def test_the_package_has_it() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert packages["package-data"]["container_oomkill.cli"] == ["assets/*"]
    assert RECORDING.parent.name == "assets"


def test_the_list() -> None:
    done = unprivileged.run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["id", "when", "container", "scope", "limit", "verdict"]
    newest_first = [each.id for each in reversed(incidents())]
    assert [row.split()[0] for row in rows] == newest_first


def test_one_in_full() -> None:
    leak = next(each for each in incidents() if each.before and each.before.shape == "leak")
    done = unprivileged.run("demo", leak.id)
    assert (done.returncode, done.stderr) == (0, "")
    assert leak.verdict is not None
    assert leak.verdict in " ".join(done.stdout.split())
    assert "container-oomkill explain leak" in done.stdout


def test_filters() -> None:
    of_pods = [each.id for each in incidents() if each.scope == "pod"]
    done = unprivileged.run("demo", "--scope", "pod")
    assert sorted(row.split()[0] for row in done.stdout.splitlines()[1:]) == sorted(of_pods)
    assert unprivileged.run("demo", "--pod", "no such").stdout == "no matching incidents\n"


def test_as_a_recording() -> None:
    done = unprivileged.run("demo", "-o", "json", "--scope", "node")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["scope"] for record in records} == {"node"}
    (wanted,) = [each.id for each in incidents() if each.scope == "node"]
    one = unprivileged.run("demo", "-o", "logfmt", wanted)
    assert one.stdout.count("\n") == 1
    assert f"id={wanted} " in one.stdout


def test_what_is_wrong_is_said_in_one_line() -> None:
    done = unprivileged.run("demo", "no-such")
    assert (done.returncode, done.stdout) == (2, "")
    wanted = "container-oomkill: no incident no-such: `container-oomkill demo` lists them all\n"
    assert done.stderr == wanted
    done = unprivileged.run("demo", "--scope", "moon")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
