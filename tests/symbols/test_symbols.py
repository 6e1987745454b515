# SPDX-License-Identifier: Apache-2.0
"""Functions and lines of real programs, of debug files split off them, and of what is neither."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_oomkill.errors import UsageError
from container_oomkill.incident.model import Trigger
from container_oomkill.incident.stack import Frame, Stack
from container_oomkill.sinks.record import to_object
from container_oomkill.sinks.stacks import MEANING
from container_oomkill.symbols.files import DebugFiles, debuginfod_cache
from container_oomkill.symbols.functions import Place, build_id_of, open_elf

from ..support import unprivileged
from ..support.incidents import incident

SOURCE = """\
volatile int sink;
__attribute__((noinline)) void first(void) { sink++; }
__attribute__((noinline)) void handle(void)
{
    first();
    sink += 7;
}
int main(void) { handle(); return 0; }
"""


@pytest.fixture(scope="module", params=["-pie", "-no-pie", "-static"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    source = folder / "app.c"
    source.write_text(SOURCE)
    made = folder / "app"
    pic = "-fPIE" if request.param == "-pie" else "-fno-pie"
    flags = ["-g", "-O0", pic, request.param, "-Wl,--build-id"]
    subprocess.run(["cc", *flags, str(source), "-o", str(made)], check=True)
    return made


@pytest.fixture(scope="module")
def split(program: Path) -> Path:
    """Its debug file, as packages have them."""
    made = program.with_suffix(".debug")
    subprocess.run(["objcopy", "--only-keep-debug", str(program), str(made)], check=True)
    return made


def offset_of(program: Path, function: str) -> int:
    """Where in the file, by nm and the segments as readelf has them."""
    table = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True).stdout
    named = [line.split() for line in table.splitlines() if line.endswith(f" {function}")]
    address = int(named[0][0], 16)
    listed = subprocess.run(
        ["readelf", "-lW", str(program)], capture_output=True, text=True, check=True
    ).stdout
    for line in listed.splitlines():
        if line.split()[:1] == ["LOAD"]:
            offset, start, _, size, *_ = (int(word, 16) for word in line.split()[1:6])
            if start <= address < start + size:
                return address - start + offset
    raise AssertionError(function)


@pytest.mark.parametrize("which", ["program", "split"])
def test_function_and_line(program: Path, split: Path, which: str) -> None:
    file = open_elf(str(program if which == "program" else split))
    assert file is not None
    assert file.is_split_off is (which == "split")
    assert file.place(offset_of(program, "first")) == Place("first", "app.c", 2)
    assert file.place(offset_of(program, "handle")) == Place("handle", "app.c", 4)
    assert file.place(1 << 40) == Place()


def test_found_by_name_by_folder_and_by_build_id(
    program: Path, split: Path, tmp_path: Path
) -> None:
    build_id = build_id_of(str(program))
    assert build_id is not None
    assert build_id == build_id_of(str(split))
    below = tmp_path / "debug" / build_id[:2]
    below.mkdir(parents=True)
    shutil.copy(split, below / f"{build_id[2:]}.debug")
    cached = tmp_path / "cache" / build_id
    cached.mkdir(parents=True)
    shutil.copy(program, cached / "executable")
    usual = [str(tmp_path / "debug"), str(tmp_path / "cache")]
    for paths in ([str(program)], [str(program.parent)], []):
        found = DebugFiles(paths, usual=usual).of(build_id)
        assert [file.is_split_off for file in found][:1] == [False]
        assert found[-1].is_split_off
    assert DebugFiles(usual=usual).of("00" * 20) == []


def test_a_short_build_id_is_filled_up_by_the_kernel(program: Path, tmp_path: Path) -> None:
    short = tmp_path / "short"
    flags = ["-Wl,--build-id=0xabcdef0123456789", str(program.with_suffix(".c"))]
    subprocess.run(["cc", *flags, "-o", str(short)], check=True)
    assert build_id_of(str(short)) == "abcdef0123456789"
    assert len(DebugFiles([str(short)], usual=[]).of("abcdef0123456789" + "0" * 24)) == 1


def test_the_command(program: Path, tmp_path: Path) -> None:
    build_id = build_id_of(str(program))
    frames = (
        Frame(build_id, offset_of(program, "first")),
        Frame(build_id, offset_of(program, "handle") + 5),
        Frame("ee" * 20, 0x1234),
        Frame(),
    )
    trigger = Trigger(7, 7, "app", by="page_fault", stack=Stack(user=frames))
    recording = tmp_path / "kills"
    recording.write_text(json.dumps(to_object(incident(trigger=trigger))) + "\n")
    done = unprivileged.run("symbolize", str(recording), "--debug", str(program))
    head, first, second, third, fourth, meaning = done.stdout.splitlines()
    assert head.endswith("shop/cart-7d9f4/app  app [7]  page fault")
    assert first.split()[:3] == ["#0", "first", "app.c:2"]
    assert second.split()[:2] == ["#1", "handle"]
    assert third.split()[:2] == ["#2", "?"]
    assert "eeeeeeeeeeee + 0x1234" in third
    assert fourth.split()[:2] == ["#3", "?"]
    assert meaning == MEANING


def test_a_recording_without_stacks_says_how_to_get_them(tmp_path: Path) -> None:
    recording = tmp_path / "kills"
    recording.write_text(json.dumps(to_object(incident())) + "\n")
    done = unprivileged.run("symbolize", str(recording))
    assert (done.returncode, done.stdout) == (0, "")
    assert "record with `--stacks`" in done.stderr


def test_what_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        DebugFiles([str(tmp_path / "none")])
    text = tmp_path / "text"
    text.write_text("no ELF")
    with pytest.raises(UsageError, match="no ELF file with a build id"):
        DebugFiles([str(text)])
    assert DebugFiles([str(tmp_path)], usual=[]).of("ab" * 20) == []


def test_debuginfods_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", "/cache")
    assert debuginfod_cache() == "/cache"
    monkeypatch.delenv("DEBUGINFOD_CACHE_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert debuginfod_cache() == "/xdg/debuginfod_client"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.data())
def test_a_damaged_file_is_none_or_says_nothing(
    program: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = bytearray(program.read_bytes()[: 1 << 16])
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(16, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged"
    damaged.write_bytes(whole)
    if (file := open_elf(str(damaged))) is not None:
        file.place(0x1139)
        file.close()
