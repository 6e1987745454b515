# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill unpin`: detaches and removes what ``--pin`` left in the kernel."""

from __future__ import annotations

import os
import stat

from ..system.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator


class UnpinSettings(Settings):
    """As the options have them."""

    folder: str | None = None  # None: the usual one

    @classmethod
    def from_args(cls, args: Namespace) -> UnpinSettings:
        return cls(folder=args.folder)


def command(args: Namespace) -> int:
    """Remove, and say what was there."""
    for line in unpin(UnpinSettings.from_args(args)):
        print(line)  # noqa: T201 - the answer
    return 0


def unpin(settings: UnpinSettings) -> Iterator[str]:
    """Remove each pinned generation; yield a line about each."""
    from ..probe.pins import DEFAULT_FOLDER, Pins

    folder = settings.folder or DEFAULT_FOLDER
    if not _may_be_pins(folder):
        yield f"nothing is pinned in {folder}"
        return
    with Pins(folder) as pins:
        for name, records in pins.remove():
            kept = f", with {records} undelivered record{'s' * (records != 1)}" if records else ""
            yield f"removed {folder}/{name}{kept}"


def _may_be_pins(folder: str) -> bool:
    """Whether there is a folder; a link is refused by name, and must not be followed to tell."""
    try:
        mode = os.lstat(folder).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
