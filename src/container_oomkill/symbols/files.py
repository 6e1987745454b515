# SPDX-License-Identifier: Apache-2.0
"""Finds ELF files by their build ids, where distributions and debuginfod put them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import UsageError
from .functions import ElfFile, build_id_of, open_elf

USUAL = "/usr/lib/debug/.build-id"
FILES_MAX = 100_000  # in the folders that are given


def debuginfod_cache() -> str:
    """Return where its clients keep what they got, as debuginfod_find_debuginfo(3) says."""
    if (chosen := os.environ.get("DEBUGINFOD_CACHE_PATH")) is not None:
        return chosen
    home = Path.home()
    if (old := home / ".debuginfod_client_cache").is_dir():
        return str(old)
    return str(Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache", "debuginfod_client"))


class DebugFiles:
    """``given``: ELF files, or folders of them by build id or under any name; looked in first."""

    def __init__(self, given: Sequence[str] = (), *, usual: Sequence[str] | None = None) -> None:
        """Raises `UsageError` for a path that does not exist, or a file that is no ELF file."""
        folders = [path for path in given if Path(path).is_dir()]
        self._folders = [*folders, *((USUAL, debuginfod_cache()) if usual is None else usual)]
        self._by_id: dict[str, list[str]] = {}  # paths
        for path in given:
            if path not in folders:
                self._add(path)
        for folder in folders:
            self._add_all(folder)
        self._found: dict[str, list[ElfFile]] = {}

    def of(self, build_id: str) -> list[ElfFile]:
        """Return the files of that build id: programs before what was split off them."""
        if build_id not in self._found:
            # The kernel fills up a shorter one with zeros.
            paths = [
                path
                for known in self._by_id
                if known.ljust(len(build_id), "0") == build_id
                for path in self._by_id[known]
            ]
            paths += self._paths(build_id)
            found = [file for path in dict.fromkeys(paths) if (file := open_elf(path))]
            self._found[build_id] = sorted(found, key=lambda file: file.is_split_off)
        return self._found[build_id]

    def _paths(self, build_id: str) -> Iterator[str]:
        for folder in self._folders:
            yield f"{folder}/{build_id[:2]}/{build_id[2:]}"
            yield f"{folder}/{build_id[:2]}/{build_id[2:]}.debug"
            yield f"{folder}/{build_id}/executable"
            yield f"{folder}/{build_id}/debuginfo"

    def _add(self, path: str) -> None:
        if not Path(path).is_file():
            raise UsageError(f"read {path}: no such file or directory")
        if (build_id := build_id_of(path)) is None:
            raise UsageError(f"read {path}: no ELF file with a build id")
        self._by_id.setdefault(build_id, []).append(path)

    def _add_all(self, folder: str) -> None:
        seen = 0
        for where, _, names in os.walk(folder):
            for name in names:
                seen += 1
                if seen > FILES_MAX:
                    raise UsageError(f"read {folder}: more than {FILES_MAX} files")
                if (build_id := build_id_of(f"{where}/{name}")) is not None:
                    self._by_id.setdefault(build_id, []).append(f"{where}/{name}")
