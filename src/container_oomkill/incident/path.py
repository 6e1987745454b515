# SPDX-License-Identifier: Apache-2.0
"""A cgroup's path, from the bytes that a record has of it."""

from __future__ import annotations

from ..errors import RecordError

CUT = "…"  # for names that are missing


def path_text(data: bytes, *, cut: bool, of: str) -> str:
    """``data``: the path's names from the leaf up, each ended by a NUL; ``of``: what to call it.

    ``cut``: names are missing, where an empty one is, or else at the root.
    """
    *names, rest = data.split(b"\0")
    if rest:
        raise RecordError(f"path of {of} is not terminated")
    shown = [name.decode("utf-8", "backslashreplace") or CUT for name in reversed(names)]
    at_root = CUT if cut and b"" not in names else ""
    return "/".join([at_root, *shown]) if shown else f"{at_root}/"
