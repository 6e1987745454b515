# SPDX-License-Identifier: Apache-2.0
"""BPF and PERFMON are enough, on an engine that knows them; SYS_ADMIN is, on an older one.

The latter is what test_commands.py shows where this machine's engine is older.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.images.current import current_docker
from ..support.images.engine import IMAGES, PROBE, Docker
from ..support.images.kills import kill, sample, start_exporter
from ..support.waiting import eventually

KNOWS_BPF = 23  # of Docker's versions, the first


@pytest.fixture
def knowing(docker: Docker) -> Iterator[Docker]:
    """This machine's engine if it is new enough, else a current one, with the images in it."""
    if docker.version() >= KNOWS_BPF:
        yield docker
        return
    folder = Path(tempfile.mkdtemp(prefix="oomkill-current-", dir="/tmp"))
    try:
        with current_docker(folder) as engine:
            saved = str(folder / "images.tar")
            docker("save", "-o", saved, *IMAGES)
            engine("load", "-q", "-i", saved)
            yield engine
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_two_capabilities_are_enough(knowing: Docker) -> None:
    assert knowing.privileges()[:3] == ("--cap-drop=ALL", "--cap-add=BPF", "--cap-add=PERFMON")
    port = start_exporter(knowing, "oomkill-test-least")
    state = knowing("inspect", "-f", "{{.State.Pid}}", "oomkill-test-least").strip()
    status = Path("/proc", state, "status").read_text()
    assert "Seccomp:\t2" in status  # Docker's own filter
    assert "NoNewPrivs:\t1" in status
    kill(knowing, "oomkill-test-shop")
    assert eventually(lambda: sample(port, "container_oomkill_total", "oomkill-test-shop"))


def test_doctor_names_what_an_engine_keeps_back(knowing: Docker) -> None:
    """One of the two is missing: it says which."""
    for kept, lacking in (("BPF", "PERFMON"), ("PERFMON", "BPF")):
        options = ("--rm", "--network=none", "--cap-drop=ALL", f"--cap-add={kept}")
        done = knowing.run("run", *options, PROBE, "doctor")
        assert done.returncode == 3, done.stdout
        assert f"CAP_{lacking}" in done.stdout
