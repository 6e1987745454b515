# SPDX-License-Identifier: Apache-2.0
"""What tests of the web server and of its pages have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from container_oomkill.exporter.exporter import Exporter


@pytest.fixture
def exporter(capfd: pytest.CaptureFixture[str]) -> Iterator[Exporter]:
    """A running exporter; nothing a client does may make it write to stderr."""
    from .http_client import make_exporter

    with make_exporter() as running:
        running.start()
        running.ready(True)
        yield running
        running.heartbeat()
    assert capfd.readouterr().err == ""
