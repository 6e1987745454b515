# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest

from container_oomkill.exporter.exporter import Exporter

from ..support.http_client import make_exporter


@pytest.fixture
def exporter(capfd: pytest.CaptureFixture[str]) -> Iterator[Exporter]:
    """A running exporter; nothing a client does may make it write to stderr."""
    with make_exporter() as running:
        running.start()
        running.ready(True)
        yield running
        running.heartbeat()
    assert capfd.readouterr().err == ""
