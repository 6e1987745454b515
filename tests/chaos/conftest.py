# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the chaos tests: those of the kernel tests, and a place for pins."""

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
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
    stack,
)


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[Path]:
    """A folder for pins, on a bpf file system of the test's own."""
    mount = tmp_path / "bpf"
    mount.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", str(mount)], check=True)
    yield mount / "pins"
    subprocess.run(["umount", str(mount)], check=True)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a number for whoever runs `make chaos`."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n    {line}", flush=True)

    return say
