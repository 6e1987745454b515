# SPDX-License-Identifier: Apache-2.0
"""What is read of this machine at each kill: as it is then, however long the reader is open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from container_oomkill.incident.host import HostReader, read_host


@pytest.fixture
def swappiness(tmp_path: Path) -> Path:
    file = tmp_path / "sys" / "vm" / "swappiness"
    file.parent.mkdir(parents=True)
    return file


def test_what_changes_between_two_kills_is_read_again(swappiness: Path, tmp_path: Path) -> None:
    swappiness.write_text("60\n")
    with HostReader(proc=str(tmp_path)) as reader:
        assert reader.read().swappiness == 60
        swappiness.write_text("200\n")
        assert reader.read().swappiness == 200
        swappiness.write_text("1\n")
        assert reader.read().swappiness == 1


@pytest.mark.parametrize("content", ["", "words", None])
def test_what_is_no_number_is_unknown(
    content: str | None, swappiness: Path, tmp_path: Path
) -> None:
    if content is not None:
        swappiness.write_text(content)
    assert read_host(proc=str(tmp_path)).swappiness is None


def test_the_kernels_own() -> None:
    host = read_host()
    assert host.swappiness == int(Path("/proc/sys/vm/swappiness").read_text())
    assert host.node == os.uname().nodename
    assert read_host("here").node == "here"


def test_no_descriptor_stays() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    reader = HostReader()
    reader.close()
    reader.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert reader.read().swappiness is None
