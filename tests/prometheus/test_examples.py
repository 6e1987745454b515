# SPDX-License-Identifier: Apache-2.0
"""examples/alertmanager.yml, by Alertmanager's own tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ..support.prometheus import tool

CONFIG = Path(__file__).parents[2] / "examples" / "alertmanager.yml"


def amtool(*arguments: str) -> str:
    command = (tool("alertmanager/bin/amtool"), *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_it_is_valid() -> None:
    assert "3 receivers" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=ContainerOomKillLoop namespace=shop severity=critical", "shop"),
        ("alertname=ContainerOomKilled namespace=blog", "others"),
        ("alertname=NodeOutOfMemory severity=critical", "nodes"),
        ("alertname=OomKillProbeDetached", "nodes"),
    ],
)
def test_who_is_told(labels: str, receiver: str) -> None:
    found = amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels.split())
    assert found.strip() == receiver
