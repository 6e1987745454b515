# SPDX-License-Identifier: Apache-2.0
"""tools/version.py writes one version everywhere, or nothing at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
TOOL = REPOSITORY / "tools" / "version.py"
FILES = (
    "src/container_oomkill/__init__.py",
    "deploy/helm/container-oomkill/Chart.yaml",
    "deploy/kubernetes/components/images/kustomization.yaml",
    "CHANGELOG.md",
)
PACKAGE, CHART, IMAGES, CHANGELOG = FILES


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    (tmp_path / CHANGELOG).write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n- It.\n")
    return tmp_path


def cut(tree: Path, version: str, date: str = "2026-11-30") -> str:
    """Return what it complains of."""
    command = [sys.executable, str(TOOL), version, date, str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (not done.stderr)
    return done.stderr


def test_a_candidate_everywhere(tree: Path) -> None:
    assert cut(tree, "7.1.0rc2") == ""
    assert '\n__version__ = "7.1.0rc2"\n' in (tree / PACKAGE).read_text()
    chart = yaml.safe_load((tree / CHART).read_text())
    # A chart's version is a semantic one; the images' tag is Python's.
    assert (chart["version"], chart["appVersion"]) == ("7.1.0-rc2", "7.1.0rc2")
    hub = chart["annotations"]
    assert hub["artifacthub.io/prerelease"] == "true"
    shown = [each["image"] for each in yaml.safe_load(hub["artifacthub.io/images"])]
    assert shown == [f"container-oomkill-exporter{each}:7.1.0rc2" for each in ("", "-full")]
    images = yaml.safe_load((tree / IMAGES).read_text())["images"]
    assert {each["newTag"] for each in images} == {"7.1.0rc2"}
    assert (tree / CHANGELOG).read_text() == (
        "# Changelog\n\n## [Unreleased]\n\n## [7.1.0rc2] - 2026-11-30\n\n### Added\n- It.\n"
    )


def test_the_same_once_more_changes_nothing(tree: Path) -> None:
    cut(tree, "7.1.0")
    before = [(tree / name).read_text() for name in FILES]
    assert cut(tree, "7.1.0", "2027-01-01") == ""
    assert [(tree / name).read_text() for name in FILES] == before


@pytest.mark.parametrize(
    ("version", "date", "words"),
    [
        ("v7.1.0", "2026-11-30", "expected one like 0.1.0 or 0.1.0rc1, found 'v7.1.0'"),
        ("7.1", "2026-11-30", "expected one like 0.1.0 or 0.1.0rc1, found '7.1'"),
        ("7.1.0-rc1", "2026-11-30", "expected one like 0.1.0 or 0.1.0rc1, found '7.1.0-rc1'"),
        ("7.1.0", "today", "expected a date like 2026-11-30, found 'today'"),
    ],
)
def test_what_is_none_changes_nothing(tree: Path, version: str, date: str, words: str) -> None:
    before = [(tree / name).read_text() for name in FILES]
    assert words in cut(tree, version, date)
    assert [(tree / name).read_text() for name in FILES] == before


def test_nothing_to_release(tree: Path) -> None:
    cut(tree, "7.1.0")
    before = [(tree / name).read_text() for name in FILES]
    assert "nothing is under ## [Unreleased] in CHANGELOG.md" in cut(tree, "7.2.0")
    assert [(tree / name).read_text() for name in FILES] == before
