# SPDX-License-Identifier: Apache-2.0
"""Files that are hostile, damaged or not there: one reason each, never a crash or a wait."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.identity import metadata
from container_oomkill.identity.metadata import MIB
from container_oomkill.identity.runtimes import state
from container_oomkill.identity.runtimes.state import TICK_NS, StateError, read_json
from container_oomkill.system import bounded_json

from ...support.trees import write


def reason(folder: Path, *names: str) -> str:
    with pytest.raises(StateError) as caught:
        read_json(str(folder), *names)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_a_file_below_a_folder_that_is_a_link(tmp_path: Path) -> None:
    write(tmp_path / "data/a/b.json", {"x": [1]})
    (tmp_path / "link").symlink_to("data")
    assert read_json(str(tmp_path / "link"), "a", "b.json") == {"x": [1]}


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"a":', "nul", "\x00" * 100, "[" * 100_000, "1" * 10_000, '{"a": NaN'],
)
def test_not_json(tmp_path: Path, content: str) -> None:
    write(tmp_path / "a", content)
    assert reason(tmp_path, "a") == "not_json"


def test_a_wrong_file_is_not_read_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many kills ask for what is in it."""
    read = []
    loads = bounded_json.loads

    def counted(data: bytes) -> object:
        read.append(data)
        return loads(data)

    monkeypatch.setattr(bounded_json, "loads", counted)
    write(tmp_path / "a", "[" * 1000)
    time.sleep(2 * TICK_NS / 1e9)  # until then a change could have the same time
    for _ in range(100):
        assert reason(tmp_path, "a") == "not_json"
    assert len(read) == 1
    os.utime(tmp_path / "a")  # a user may set any time, but not that of the change
    write(tmp_path / "a", "[" * 998 + "]]")
    assert reason(tmp_path, "a") == "not_json"
    write(tmp_path / "a", {"x": 1})
    assert read_json(str(tmp_path), "a") == {"x": 1}
    assert len(read) == 3


def test_as_many_wrong_files_as_one_likes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_wrong", {})
    monkeypatch.setattr(state, "WRONG_MAX", 3)
    monkeypatch.setattr(state, "TICK_NS", 0)
    for number in range(9):
        write(tmp_path / str(number), "[")
        assert reason(tmp_path, str(number)) == "not_json"
    assert len(state._wrong) == 3


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'{"a": "\xff\xfe\xfa"}')
    assert reason(tmp_path, "a") == "not_json"


def test_too_big(tmp_path: Path) -> None:
    write(tmp_path / "a", '"' + "x" * MIB + '"')
    assert reason(tmp_path, "a") == "too_big"
    write(tmp_path / "b", '"' + "x" * (MIB - 2) + '"')
    assert len(read_json(str(tmp_path), "b")) == MIB - 2
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert reason(tmp_path, "sparse") == "too_big"


def test_no_link_is_followed_below_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "outside/secret.json", {})
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "file.json").symlink_to(tmp_path / "outside/secret.json")
    assert reason(inside, "folder", "secret.json") == "symlink"
    assert reason(inside, "file.json") == "symlink"


@pytest.mark.parametrize("name", ["..", ".", "", "../secret", "a/b", "a\0b"])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    assert reason(tmp_path, name, "secret") == "bad_name"
    assert reason(tmp_path, name) == "bad_name"


def test_pipes_folders_and_devices_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert reason(tmp_path, "pipe") == "not_a_file"
    assert reason(tmp_path, "folder") == "not_a_file"
    assert reason(Path("/dev"), "null") == "not_a_file"


def test_missing(tmp_path: Path) -> None:
    assert reason(tmp_path, "a") == "missing"
    assert reason(tmp_path / "no", "a", "b") == "missing"


def test_denied(tmp_path: Path) -> None:
    write(tmp_path / "a", {}).chmod(0)
    user = os.geteuid()
    if user == 0:  # root reads everything
        os.seteuid(65534)
    try:
        assert reason(tmp_path, "a") == "denied"
    finally:
        os.seteuid(user)


def test_no_file_stays_open(tmp_path: Path) -> None:
    write(tmp_path / "a/b.json", {})
    before = len(list(Path("/proc/self/fd").iterdir()))
    read_json(str(tmp_path), "a", "b.json")
    reason(tmp_path, "a", "no")
    reason(tmp_path, "a")
    reason(tmp_path, "no", "no", "no")
    reason(tmp_path, "a", "b.json", "c")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "value",
    ["", "a\nb", "a\x1b[31mb", "a\u202eb", "\ud800", "x" * 513, "x" * MIB, 7, None, ["a"], {}],
)
def test_texts_that_are_no_names(value: object) -> None:
    assert metadata.text(value) is None


@given(st.binary())
def test_a_file_of_any_bytes(data: bytes) -> None:
    """It is read, or refused with a word that a metric can have for a label."""
    reason = "none"
    with TemporaryDirectory() as folder:
        Path(folder, "state.json").write_bytes(data)
        try:
            read_json(folder, "state.json")
        except StateError as error:
            reason = error.reason
    assert reason.isidentifier()
