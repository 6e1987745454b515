# SPDX-License-Identifier: Apache-2.0
"""Which folders are ours; those of another user: tests/kernel/test_pins.py, as root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from container_oomkill.errors import UnsupportedError
from container_oomkill.probe.own_folder import OwnFolder


def test_one_that_is_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OwnFolder.open(str(tmp_path / "pins"))
    with OwnFolder.open(str(tmp_path / "pins"), make=True) as folder:
        assert (folder.path, folder.names()) == (str(tmp_path / "pins"), [])
    assert (tmp_path / "pins").stat().st_mode & 0o777 == 0o700
    OwnFolder.open(str(tmp_path / "pins"), make=True).close()
    with pytest.raises(FileNotFoundError):
        OwnFolder.open(str(tmp_path / "no" / "pins"), make=True)


@pytest.mark.parametrize("where", ["pins", "pins/below"])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, where: str) -> None:
    (tmp_path / "elsewhere" / "below").mkdir(parents=True)
    (tmp_path / "pins").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsupportedError, match=f"{tmp_path}/pins is a symbolic link: --pin a"):
        OwnFolder.open(str(tmp_path / where), make=True)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_one_that_others_may_write(tmp_path: Path, mode: int) -> None:
    (tmp_path / "pins").mkdir()
    (tmp_path / "pins").chmod(mode)
    with pytest.raises(UnsupportedError, match=rf"pins may be written by others \(mode {mode:o}\)"):
        OwnFolder.open(str(tmp_path / "pins"))


def test_one_that_others_may_rename(tmp_path: Path) -> None:
    """Below a folder that anyone may write only the sticky bit keeps ours in its place."""
    (tmp_path / "all").mkdir()
    (tmp_path / "all").chmod(0o777)
    with pytest.raises(UnsupportedError, match=rf"{tmp_path}/all may be written by others"):
        OwnFolder.open(str(tmp_path / "all" / "pins"), make=True)
    assert not (tmp_path / "all" / "pins").exists()
    (tmp_path / "all").chmod(0o1777)
    OwnFolder.open(str(tmp_path / "all" / "pins"), make=True).close()


def test_removal_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with OwnFolder.open(str(tmp_path / "pins"), make=True) as folder:
        os.symlink(tmp_path / "precious", "link", dir_fd=folder.fd)
        folder.unlink("link")
        assert folder.names() == []
    assert (tmp_path / "precious").exists()
