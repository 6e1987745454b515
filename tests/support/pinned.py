# SPDX-License-Identifier: Apache-2.0
"""Pins in a folder of any file system: files stand for maps, their bytes are mapped as theirs are.

Only the kernel can make a BPF map; what is done with its name, its memory and its folder is the
same for a file. A ring is given as the records that it holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from container_oomkill import libbpf
from container_oomkill.errors import BpfError
from container_oomkill.incident import wire
from container_oomkill.libbpf import maps
from container_oomkill.probe import pins
from container_oomkill.probe.checkpoint import SIZE, Checkpoint, PinnedCheckpoint

PROGRAMS = ("mark_victim", "fentry_kill")


class RecordedRing:
    """The ring in a file: a byte for each record."""

    size = 4096

    def __init__(self, map_fd: int) -> None:
        self.records = os.pread(map_fd, 100, 0)
        self.closed = False
        self._next = 0

    def read(self) -> Iterator[tuple[bytes, int]]:
        while self._next < len(self.records):
            self._next += 1
            yield self.records[self._next - 1 : self._next], self._next

    def rewind(self) -> None:
        self._next = 0

    def unread(self) -> int:
        return len(self.records)

    def close(self) -> None:
        self.closed = True


class FolderPins(pins.Pins):
    """Its checkpoint is a file."""

    def _open_checkpoint(self) -> Checkpoint:
        path = Path(self.folder, pins.CHECKPOINT)
        if not path.exists():
            path.write_bytes(bytes(SIZE))
        with libbpf.PinnedMaps(self.folder) as found:
            return PinnedCheckpoint(found.map_fd(pins.CHECKPOINT))


class Link:
    """Stands for an attached program; its pin is a file, unless the kernel would refuse."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = False

    def pin(self, path: str) -> None:
        if self.error is not None:
            raise self.error
        Path(path).touch()

    def close(self) -> None:
        self.closed = True


class Loaded:
    """Stands for a `LoadedObject`: a file for each map; attaches all but what it ``refuses``."""

    def __init__(self, folder: Path, records: int = 0, **counters: int) -> None:
        folder.mkdir()
        (folder / "ring").write_bytes(bytes(records))
        (folder / "functions").write_bytes(bytes(wire.FUNCTIONS.size))
        counted = wire.ffi.new("struct oomkill_counters *")
        for name, value in counters.items():
            setattr(counted, name, value)
        (folder / "counters").write_bytes(bytes(wire.ffi.buffer(counted)))
        self.maps = libbpf.PinnedMaps(str(folder))
        self.attached: dict[str, Link] = {}
        self.refuses: dict[str, BpfError] = {}
        self.parsed = True
        self.closed = False

    def map_fd(self, name: str) -> int:
        return self.maps.map_fd(name)

    def free_parsed(self) -> None:
        self.parsed = False

    def attach(self, program: str) -> Link:
        assert self.parsed, "libbpf has freed its programs"
        if program in self.refuses:
            raise self.refuses[program]
        self.attached[program] = Link()
        return self.attached[program]

    def close(self) -> None:
        self.closed = True
        self.maps.close()


def on_files(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """Have maps be files; return a /proc that says that ``folder`` is a bpf file system.

    The usual folder of pins is on it.
    """

    def pin(fd: int, path: str) -> None:
        Path(path).hardlink_to(Path(f"/proc/self/fd/{fd}").readlink())

    def open_pinned(path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    monkeypatch.setattr(maps, "open_pinned", open_pinned)
    monkeypatch.setattr(libbpf, "pin", pin)
    monkeypatch.setattr(libbpf, "Ring", RecordedRing)
    monkeypatch.setattr(pins, "DEFAULT_FOLDER", f"{folder}/container-oomkill")
    proc = folder.with_name(folder.name + "-proc")
    (proc / "self").mkdir(parents=True)
    escaped = str(folder).replace(" ", "\\040")
    lines = f"proc /proc proc rw 0 0\nbpf {escaped} bpf rw 0 0\n"
    (proc / "self/mounts").write_text(lines)
    (proc / "locks").write_text(Path("/proc/locks").read_text())
    folder.mkdir()
    return str(proc)


def keep(kept: pins.Pins, loaded: Any, *, hook: str = "fentry", checksum: int = 0xABC) -> int:
    """Pin an object as attached."""
    return kept.keep(hook, checksum, loaded, {name: Link() for name in PROGRAMS})  # type: ignore[misc]
