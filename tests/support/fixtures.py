# SPDX-License-Identifier: Apache-2.0
"""What tests of several stages have in common."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
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


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A folder of certificates: `make_authority`."""
    from .certificates import make_authority

    make_authority(tmp_path)
    return tmp_path


@pytest.fixture
def signals() -> Iterator[None]:
    """What a command does to signals is undone."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)
