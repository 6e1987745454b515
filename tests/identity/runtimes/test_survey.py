# SPDX-License-Identifier: Apache-2.0
"""What doctor says of the runtimes: found, missing, damaged, out of reach."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import pytest

from container_oomkill.doctor.checks import examine_runtimes
from container_oomkill.doctor.report import Finding, Report, print_text
from container_oomkill.identity.runtimes.sources import default_sources
from container_oomkill.identity.runtimes.state import StateError
from container_oomkill.identity.runtimes.survey import survey

from ...support.trees import C, D, docker_config, podman_entry, write

DOCKER = "var/lib/docker/containers"


def examined(root: Path) -> dict[str, Finding]:
    report = Report(kernel="6.12", machine="x86_64")
    examine_runtimes(report, default_sources(root=str(root), users=None))
    print_text(report, io.StringIO())
    return report.findings["runtimes"]


def test_found_and_missing(tmp_path: Path) -> None:
    for container_id in (C, D):
        write(tmp_path / DOCKER / container_id / "config.v2.json", docker_config(container_id))
    storage = tmp_path / "var/lib/containers/storage/overlay-containers"
    write(storage / "containers.json", [podman_entry()])
    found = examined(tmp_path)
    assert list(found) == ["docker", "containerd", "crio", "podman"]
    assert found["docker"] == Finding(True, f"2 containers ({tmp_path}/{DOCKER})")
    assert found["podman"].words == f"1 container ({storage})"
    assert found["containerd"].ok is None
    assert "no state found in " in found["containerd"].words
    remedy = found["containerd"].remedy
    assert remedy
    assert f"-v {tmp_path}/run/containerd/io.containerd.runtime.v2.task:" in remedy
    assert remedy.endswith(":ro, or use --state.containerd DIR")


def test_a_given_folder_that_is_not_there() -> None:
    report = Report(kernel="6.12", machine="x86_64")
    examine_runtimes(report, default_sources(docker_folders=["/nowhere"], users=None))
    assert report.findings["runtimes"]["docker"].words == "no state found in /nowhere"


def test_damaged_files_are_counted(tmp_path: Path) -> None:
    write(tmp_path / DOCKER / C / "config.v2.json", "{")
    write(tmp_path / DOCKER / D / "config.v2.json", docker_config(D))
    found = examined(tmp_path)
    assert found["docker"].words == f"1 container ({tmp_path}/{DOCKER}), 1 skipped: not_json"


def test_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / DOCKER).mkdir(parents=True)
    (source, *_) = default_sources(root=str(tmp_path))

    def denied() -> set[tuple[int, str]]:
        raise StateError("denied", source.folder)

    monkeypatch.setattr(source, "keys", denied)
    assert survey([source])["docker"].refused == {source.folder: "denied"}
    report = Report(kernel="6.12", machine="x86_64")
    examine_runtimes(report, [source])
    finding = report.findings["runtimes"]["docker"]
    assert finding.ok is False
    assert finding.words == f"{source.folder}: denied"


def test_out_of_reach_for_real() -> None:
    """As nobody: root may read everything."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / DOCKER).mkdir(parents=True)
        (root / DOCKER).chmod(0o000)
        if user == 0:
            os.seteuid(65534)
        try:
            assert examined(root)["docker"].ok is False
        finally:
            os.seteuid(user)


def test_lines_fit_and_no_path_is_broken() -> None:
    folder = "/var/lib/" + "long-name/" * 12
    remedy = (
        f"where it runs: mount its state read-only, -v {folder}:{folder}:ro, or say where it is"
    )
    report = Report(kernel="6.12", machine="x86_64")
    report.add("runtimes", "containerd", Finding(False, "some words " * 30, remedy, ("log " * 60,)))
    out = io.StringIO()
    print_text(report, out)
    lines = out.getvalue().splitlines()
    assert any(f"{folder}:{folder}:ro," in line for line in lines)
    assert all(len(line) <= 100 for line in lines if folder not in line)
    (first,) = [line for line in lines if "-> " in line]
    assert lines[lines.index(first) + 1].startswith(" " * (first.index("-> ") + 3))
    assert out.getvalue().count("some") == 30
    assert out.getvalue().count("log") == 60
