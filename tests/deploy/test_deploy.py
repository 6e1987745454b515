# SPDX-License-Identifier: Apache-2.0
"""What is under deploy/ holds by the judgement of the tools it is for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "container-oomkill.service"


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt install systemd"
)
def test_systemd_unit(tmp_path: Path) -> None:
    text = UNIT.read_text()
    program = "/usr/local/bin/container-oomkill"
    assert f"ExecStart={program} exporter" in text
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(program, "/bin/true"))  # it need not be installed here
    run("systemd-analyze", "verify", str(unit))
    run("systemd-analyze", "security", "--offline=true", "--threshold=35", str(unit))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt install prometheus")
class TestPrometheus:
    @pytest.mark.parametrize("name", ["prometheus.yml", "remote-write.yml"])
    def test_configuration(self, name: str) -> None:
        run("promtool", "check", "config", str(DEPLOY / "prometheus" / name))

    def test_rules_are_well_formed(self) -> None:
        run("promtool", "check", "rules", *map(str, (DEPLOY / "prometheus" / "rules").iterdir()))

    def test_rules_do_what_they_should(self) -> None:
        run("promtool", "test", "rules", str(DEPLOY / "prometheus" / "rules_test.yml"))
