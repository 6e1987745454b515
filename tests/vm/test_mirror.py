# SPDX-License-Identifier: Apache-2.0
"""Which mirror is found in apt's settings, and what is missing there."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import mirror
from .errors import PackageError

MAIN = "http://mirror.example/debian"
SECURITY = "http://mirror.example/debian-security"


def test_the_official_images(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(
        f"Types: deb\nURIs: {MAIN}\nSuites: trixie trixie-updates\nComponents: main\n\n"
        f"Types: deb\nURIs: {SECURITY}\nSuites: trixie-security\nComponents: main\n"
    )
    found = mirror.find(tmp_path, {})
    assert found.base("trixie") == found.base("bookworm-updates") == MAIN
    assert found.base("trixie-security") == SECURITY


def test_a_root_by_debootstrap_names_the_main_archive_alone(tmp_path: Path) -> None:
    """It is all that the sources of the wheels' libraries and most roots need."""
    (tmp_path / "sources.list").write_text(f"deb {MAIN} trixie main\n")
    found = mirror.find(tmp_path, {})
    assert found.base("trixie") == MAIN
    with pytest.raises(PackageError, match=mirror.SECURITY_VARIABLE):
        found.base("trixie-security")


def test_another_distribution(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.example/ubuntu noble main universe\n")
    with pytest.raises(PackageError, match=mirror.ARCHIVE_VARIABLE):
        mirror.find(tmp_path, {})
    assert mirror.find(tmp_path, {mirror.ARCHIVE_VARIABLE: f"{MAIN}/"}).base("sid") == MAIN
