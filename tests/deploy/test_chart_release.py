# SPDX-License-Identifier: Apache-2.0
"""tools/chart.py: a release's chart and manifests name its images by digest, and what changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ..support.manifests import (
    DEPLOY,
    OLDEST,
    OVERLAYS,
    Manifest,
    container,
    objects,
    run,
    tool,
)

REPOSITORY = DEPLOY.parent
EXPORTER = "registry.example/ops/container-oomkill-exporter"
DIGEST, FULL_DIGEST = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"
PUSHED = (f"{EXPORTER}@{DIGEST}", f"{EXPORTER}-full@{FULL_DIGEST}")
CHANGELOG = """# Changelog

## [Unreleased]

## [7.1.0] - 2026-11-30

### Added
- A "new" thing: it has
  two lines.

### Fixed
- An old one.

## [7.0.0] - 2026-01-01

### Added
- Long ago.
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(DEPLOY, tmp_path / "deploy", symlinks=True)
    for name in ("tools", "src/container_oomkill"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(
        REPOSITORY / "src/container_oomkill/__init__.py", tmp_path / "src/container_oomkill"
    )
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    version = [sys.executable, str(REPOSITORY / "tools/version.py"), "7.1.0", "2026-11-30"]
    subprocess.run([*version, str(tmp_path)], check=True)
    return tmp_path


def pin(tree: Path, *pushed: str) -> str:
    """Return what it complains of."""
    done = run(sys.executable, str(REPOSITORY / "tools/chart.py"), str(tree), *pushed)
    assert (done.returncode == 0) == (not done.stderr)
    return done.stderr


def helm(tree: Path, *options: str) -> list[Manifest]:
    chart = str(tree / "deploy/helm/container-oomkill")
    done = run(tool("helm"), "template", "x", chart, "--kube-version", OLDEST, *options)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def test_by_digest_in_chart_and_manifests(tree: Path) -> None:
    assert pin(tree, *PUSHED) == ""
    assert container(helm(tree))["image"] == PUSHED[0]
    assert container(helm(tree, "--set", "kubernetes.names=true"))["image"] == PUSHED[1]
    for name in OVERLAYS:
        done = run(tool("kustomize"), "build", str(tree / "deploy/kubernetes/overlays" / name))
        assert done.returncode == 0, done.stderr
        assert container(objects(done.stdout))["image"] in PUSHED
    chart = yaml.safe_load((tree / "deploy/helm/container-oomkill/Chart.yaml").read_text())
    shown = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert [each["image"] for each in shown] == [f"{EXPORTER}:7.1.0", f"{EXPORTER}-full:7.1.0"]


def test_artifact_hub_is_told_what_changed(tree: Path) -> None:
    assert pin(tree) == ""
    done = run(tool("helm"), "show", "chart", str(tree / "deploy/helm/container-oomkill"))
    annotations = yaml.safe_load(done.stdout)["annotations"]
    assert yaml.safe_load(annotations["artifacthub.io/changes"]) == [
        {"kind": "added", "description": 'A "new" thing: it has two lines.'},
        {"kind": "fixed", "description": "An old one."},
    ]
    assert container(helm(tree))["image"] == "container-oomkill-exporter:7.1.0"


def test_our_own_changelog_can_be_shown(tree: Path) -> None:
    shutil.copy(REPOSITORY / "CHANGELOG.md", tree)
    version = [sys.executable, str(REPOSITORY / "tools/version.py"), "7.2.0", "2026-11-30"]
    subprocess.run([*version, str(tree)], check=True)
    assert pin(tree) == ""
    done = run(tool("helm"), "lint", "--strict", str(tree / "deploy/helm/container-oomkill"))
    assert done.returncode == 0, done.stdout
    chart = yaml.safe_load((tree / "deploy/helm/container-oomkill/Chart.yaml").read_text())
    changes = yaml.safe_load(chart["annotations"]["artifacthub.io/changes"])
    assert {"added"} <= {each["kind"] for each in changes}
    assert json.dumps(changes)


@pytest.mark.parametrize(
    ("pushed", "words"),
    [
        ((f"{EXPORTER}:7.1.0",), "expected HOST/PATH/NAME@sha256:..., found"),
        (PUSHED[:1], "and container-oomkill-exporter-full of one registry"),
        ((PUSHED[0], f"other.example/container-oomkill-exporter-full@{DIGEST}"), "of one registry"),
    ],
)
def test_what_is_no_image_changes_nothing(tree: Path, pushed: tuple[str, ...], words: str) -> None:
    files = [path for path in tree.rglob("*") if path.is_file()]
    before = [path.read_bytes() for path in files]
    assert words in pin(tree, *pushed)
    assert [path.read_bytes() for path in files] == before
