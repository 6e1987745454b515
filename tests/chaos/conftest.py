# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the chaos tests: those of the kernel tests, a place for pins, and the numbers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..kernel.conftest import (  # noqa: F401 - pytest finds them by their names here
    hog,
    hog_program,
    hook,
    make_cgroups,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
    stack,
)
from ..kernel.conftest import pytest_addoption as add_hook_option

NUMBERS = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add_hook_option(parser)
    parser.addoption("--kills", type=int, default=2000, help="real kills per test of restarts")
    parser.addoption("--restarts", type=int, default=20, help="SIGKILLs of the exporter meanwhile")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """One line per scenario, together at the end: `make chaos` shows them."""
    terminalreporter.section("numbers")
    for line in config.stash.get(NUMBERS, []):
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
