# SPDX-License-Identifier: Apache-2.0
"""What the chaos tests have beside the kernel tests: a place for pins, and numbers to print."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NUMBERS = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=2000, help="real kills per test of restarts")
    parser.addoption("--restarts", type=int, default=20, help="SIGKILLs of the exporter meanwhile")
    in_a_guest = "OOMKILL_TEST_GUEST" in os.environ
    parser.addoption(
        "--group",
        type=int,
        default=600 if in_a_guest else 10_000,
        help="processes of test_large_group (default: 10000; 600 in a guest)",
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """One line per scenario, together at the end: `make chaos` shows them."""
    numbers = config.stash.get(NUMBERS, [])
    if numbers:
        terminalreporter.section("numbers")
    for line in numbers:
        terminalreporter.write_line(f"    {line}")


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[Path]:
    """A folder for pins, on a bpf file system of the test's own."""
    mount = tmp_path / "bpf"
    mount.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", str(mount)], check=True)
    yield mount / "pins"
    subprocess.run(["umount", str(mount)], check=True)


@pytest.fixture
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Tell a number to whoever runs `make chaos`."""
    return pytestconfig.stash.setdefault(NUMBERS, []).append
