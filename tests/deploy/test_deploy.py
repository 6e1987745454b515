# SPDX-License-Identifier: Apache-2.0
"""What is under deploy/ holds by the judgement of the tools it is for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "container-oomkill.service"
# What CAP_DAC_READ_SEARCH would read, and what is as good as root to whoever connects to it.
SECRETS = {
    "/root",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/ssh",
    "/etc/kubernetes",
    "/var/lib/kubelet",
}
SOCKETS = {"/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio", "/run/podman"}
needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt install systemd"
)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    text = UNIT.read_text()
    program = "/usr/local/bin/container-oomkill"
    assert f"ExecStart={program} exporter" in text
    path = tmp_path / UNIT.name
    path.write_text(text.replace(program, "/bin/true"))  # it need not be installed here
    return path


@needs_systemd_analyze
def test_systemd_unit(unit: Path) -> None:
    run("systemd-analyze", "verify", str(unit))
    run("systemd-analyze", "security", "--offline=true", "--threshold=35", str(unit))


@needs_systemd_analyze
def test_the_unit_is_not_roots(unit: Path) -> None:
    """As systemd reads it; under one that runs: tests/packages/test_systemd.py."""
    judged = json.loads(
        run("systemd-analyze", "security", "--offline=true", "--json=short", str(unit))
    )
    [user] = [each for each in judged if each["json_field"] == "UserOrDynamicUser"]
    assert user["description"] == "Service runs under a transient non-root user identity"
    assert user["set"]


def test_what_the_unit_hides() -> None:
    lines = re.findall(r"^InaccessiblePaths=(.*)$", UNIT.read_text(), re.MULTILINE)
    hidden = {path.removeprefix("-") for line in lines for path in line.split()}
    assert hidden >= SECRETS | SOCKETS


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt install prometheus")
class TestPrometheus:
    @pytest.mark.parametrize("name", ["prometheus.yml", "remote-write.yml"])
    def test_configuration(self, name: str) -> None:
        run("promtool", "check", "config", str(DEPLOY / "prometheus" / name))

    def test_rules_are_well_formed(self) -> None:
        run("promtool", "check", "rules", *map(str, (DEPLOY / "prometheus" / "rules").iterdir()))

    def test_rules_do_what_they_should(self) -> None:
        run("promtool", "test", "rules", str(DEPLOY / "prometheus" / "rules_test.yml"))
