# SPDX-License-Identifier: Apache-2.0
"""Whether anything in a cgroup may be killed, by trees on disk as the kernel has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from container_oomkill.stuck.killable import V1_ROOT, V2_ROOT, is_anything_killable

Look = Callable[..., bool | None]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Give what is found of processes with these values; those of a name are in a cgroup below."""

    def look(values: dict[int, str], below: int | None = None, mount: str = V2_ROOT) -> bool | None:
        folder = tmp_path / f"root{mount}/pod/app"
        (folder / "below").mkdir(parents=True, exist_ok=True)
        for where in (folder, folder / "below"):
            pids = [pid for pid in values if (pid == below) is (where.name == "below")]
            (where / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        for pid, value in values.items():
            if value:
                (tmp_path / f"proc/{pid}").mkdir(parents=True, exist_ok=True)
                (tmp_path / f"proc/{pid}/oom_score_adj").write_text(value)
        number = folder.stat().st_ino
        root, proc = str(tmp_path / "root"), str(tmp_path / "proc")
        return is_anything_killable("/pod/app", number, root, proc=proc)

    return look


@pytest.mark.parametrize("mount", [V1_ROOT, V2_ROOT])
def test_all_or_one(look: Look, mount: str) -> None:
    assert look({11: "-1000\n", 12: "-1000\n"}, mount=mount) is False
    assert look({11: "-1000\n", 12: "-999\n"}, mount=mount) is True
    assert look({11: "-1000\n", 12: "0\n"}, below=12, mount=mount) is True


def test_what_cannot_be_seen_is_unknown(look: Look) -> None:
    assert look({}) is None
    assert look({0: ""}) is None  # of another PID namespace
    assert look({11: "no number\n"}) is None
    assert look({11: "-1000\n", 12: ""}) is False  # the second has ended


@pytest.mark.parametrize("path", [None, "", "…/cut", "/../etc", "/no/such/cgroup", "/\0"])
def test_a_path_that_is_none(path: str | None) -> None:
    assert is_anything_killable(path, 7) is None


def test_another_cgroup_of_that_name() -> None:
    assert is_anything_killable("/", 1 << 62) is None
