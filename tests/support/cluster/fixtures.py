# SPDX-License-Identifier: Apache-2.0
"""Fixtures: one cluster of one node for all tests, as `python -m tests.cluster` prepared it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import table
from .settings import SETTINGS

if TYPE_CHECKING:
    from .cluster import Cluster
    from .exporter import Exporter

IMAGES = ("container-oomkill-exporter", "container-oomkill-exporter-full")
VERSION = "0.1.0"  # of the manifests


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if SETTINGS not in os.environ:
        pytest.fail("these tests need a machine of their own: make test-cluster", pytrace=False)
    from ..manifests import NAME
    from .cluster import Cluster
    from .control_plane import control_plane
    from .daemons import NotInTimeError
    from .kubectl import Kubectl
    from .namespaces import furnish
    from .node import node
    from .pods import NAMESPACE
    from .programs import Programs

    settings = json.loads(os.environ[SETTINGS])
    programs = Programs(settings["version"], Path(settings["programs"]))
    logs, folder = Path(settings["out"]), Path(settings["folder"])
    archives = (Path(settings["exporters"]), Path(settings["hog"]))
    kubectl = Kubectl(programs["kubectl"])
    with contextlib.ExitStack() as stack:
        try:
            furnish(folder)
            plane = stack.enter_context(control_plane(programs, folder / "plane", logs))
            only = stack.enter_context(node(plane, folder / "node", logs, *archives))
        except (NotInTimeError, AssertionError) as error:
            pytest.exit(f"no cluster: {error}", returncode=1)  # once, not for every test
        for image in IMAGES:
            full = f"docker.io/library/{image}"
            only.ctr("images", "tag", f"{full}:latest", f"{full}:{VERSION}")
        for seconds in (plane.seconds, only.seconds):
            for name, value in seconds.items():
                table.add("start", name, "ready", value)
        for each in (NAMESPACE, NAME):
            kubectl("create", "namespace", each)
        yield Cluster(plane, only, kubectl)


@pytest.fixture(scope="module")
def daemon_set(cluster: Cluster) -> Iterator[Exporter]:
    """The overlay that asks the API and writes Events."""
    from .exporter import ACCOUNT, deployed, overlay

    asked_before = len(cluster.plane.audited(ACCOUNT))
    with deployed(cluster.api, cluster.kubectl, overlay("kubernetes")) as (started, _):
        started.asked_before = asked_before
        yield started


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in table.lines():
        terminalreporter.write_line(line)
