# SPDX-License-Identifier: Apache-2.0
"""History files: made, opened again, and looked into."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.history.file import HistoryFile

from .incidents import incident


def opened(path: Path, **changes: Any) -> HistoryFile:
    return HistoryFile(str(path), **({"max_incidents": 256, "max_bytes": 16 << 20} | changes))


def numbers(path: Path, **changes: Any) -> list[int]:
    """The sequences that are in the file."""
    with closing(opened(path, **changes)) as file:
        return [each.sequence for each in file.load()]


def write(path: Path, count: int, **changes: Any) -> None:
    with closing(opened(path, **changes)) as file:
        for number in range(1, count + 1):
            file(incident(number))


def put(folder: Path, data: bytes) -> Path:
    """A history of these bytes, alone in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "history"
    path.write_bytes(data)
    return path


def names(path: Path) -> list[str]:
    """What is in its folder."""
    return sorted(each.name for each in path.parent.iterdir())


def refused(path: Path) -> str:
    """The message; the file is as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UsageError) as error:
        opened(path)
    assert before is None or path.read_bytes() == before
    assert "\n" not in str(error.value)
    return str(error.value)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Writes beyond fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
