# SPDX-License-Identifier: Apache-2.0
"""What is asked of a program that a test has installed in a root: a real kill, and pages."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

from .kernel.cgroups import Cgroup
from .kernel.processes import DEADLINE, Hog
from .packages import Root

NAME = "container-oomkill"


def record_a_kill(
    root: Root, cgroup: Cgroup, hog: Callable[..., Hog], program: str = NAME
) -> dict[str, Any]:
    """Have the installed probe tell one kill in ``cgroup``."""
    command = root.wrap(program, "probe", "-o", "json", "--count", "1", "--cgroup", cgroup.path)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as probe:
        try:
            assert probe.stderr is not None
            attached = probe.stderr.readline()
            assert attached.startswith(f"{NAME}: attached with "), attached + probe.stderr.read()
            assert hog(cgroup, "anon 64").was_killed()
            told, errors = probe.communicate(timeout=DEADLINE)
        finally:
            probe.kill()
        assert probe.returncode == 0, errors
        record: dict[str, Any] = json.loads(told)
        return record


def assert_serves_pages(root: Root, program: str = NAME) -> None:
    """Have the installed exporter make a page, by the MarkupSafe that is there."""
    command = root.wrap(program, "exporter", "--web.listen-address", "127.0.0.1:0")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as exporter:
        try:
            assert exporter.stderr is not None
            said = exporter.stderr.readline()
            address = said.rpartition("listening on ")[2].strip()
            assert address.startswith("127.0.0.1:"), said + exporter.stderr.read()
            with urlopen(f"http://{address}/", timeout=DEADLINE) as page:
                assert "<title>OOM kills" in page.read().decode()
            with urlopen(f"http://{address}/metrics", timeout=DEADLINE) as metrics:
                assert "container_oomkill_total" in metrics.read().decode()
        finally:
            exporter.terminate()
        assert exporter.wait(DEADLINE) == 0
