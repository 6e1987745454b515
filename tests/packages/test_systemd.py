# SPDX-License-Identifier: Apache-2.0
"""The unit that the .deb installs, under a systemd that runs: in a guest, with cgroup v2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from container_oomkill.system.privileges import CAP_DAC_READ_SEARCH

from ..support.packages import fresh_root
from ..vm import guest
from ..vm.packages import ensure
from ..vm.table import choose

SCRIPT = Path(__file__).with_name("in_systemd.sh")
DIST = Path(__file__).parents[2] / "dist"
KERNEL = "6.12"
SECONDS = 900


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the script prints, by name."""
    folder = tmp_path_factory.mktemp("systemd")
    [deb] = DIST.glob("*.deb")
    root = fresh_root(request.param, folder / "root", "systemd")
    root("dpkg", "-i", root.take(deb))
    share = folder / "share"
    share.mkdir()
    [kernel] = ensure(choose(KERNEL))
    command = ["sh", str(SCRIPT), str(folder / "root")]
    done = guest.run(kernel, command, share=share, timeout=SECONDS, memory="2G")
    assert done.returncode == 0, done.output
    print(done.output)
    return dict(line.split("=", 1) for line in done.output.splitlines() if "=" in line)


def test_it_starts_ends_and_starts_again(found: dict[str, str]) -> None:
    assert found["started"] == found["restarted"] == "active"
    assert found["stopped"] == "inactive success 0"
    assert "attached with fentry" in found["log"]
    assert "Traceback" not in found["log"]


def test_the_process_is_nobody_once_it_is_attached(found: dict[str, str]) -> None:
    assert found["process.Uid"].split()[0] != "0"
    held = {found["process.CapEff"], found["process.CapPrm"]}
    assert {int(each, 16) for each in held} == {CAP_DAC_READ_SEARCH}
    assert int(found["process.CapAmb"], 16) == 0
    # Whoever reads the runtimes' state has that one; the thread that talks to the network has none.
    assert {int(each, 16) for each in found["threads"].split()} == {0, CAP_DAC_READ_SEARCH}
    assert found["process.NoNewPrivs"] == "1"
    assert found["process.Seccomp"] == "2"


def test_a_units_kill_has_its_name(found: dict[str, str]) -> None:
    assert found["leak"] == "oom-kill"
    [record] = json.loads(found["incidents"])["incidents"]
    assert record["container"]["name"] == "leak.service"
    assert (record["scope"], record["inferred"]) == ("container", False)
    assert record["domain"]["limit_bytes"] == 32 << 20


def test_systemds_own_judgement(found: dict[str, str]) -> None:
    """`systemd-analyze security`: below 2 it is "OK", of 10 that is open to everything."""
    assert float(found["exposure"]) < 4
