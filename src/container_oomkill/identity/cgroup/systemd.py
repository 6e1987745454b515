# SPDX-License-Identifier: Apache-2.0
r"""Takes a unit's name as systemd escapes it, gives it for people: ``my\x2dbox`` is ``my-box``."""

from __future__ import annotations

_HEX = frozenset("0123456789abcdef")


def unescape(text: str) -> str:
    r"""Undo systemd's ``\x2d``; what would not print, or is not UTF-8, stays escaped."""
    if "\\x" not in text:
        return text
    head, *pieces = text.split("\\x")
    done = head
    run = bytearray()  # escaped bytes in a row: a character may take several

    def flush() -> str:
        raw = bytes(run)
        run.clear()
        try:
            plain = raw.decode()
        except UnicodeDecodeError:
            plain = ""
        if plain and plain.isprintable():
            return plain
        return "".join(f"\\x{byte:02x}" for byte in raw)

    for piece in pieces:
        if len(piece) >= 2 and _HEX.issuperset(piece[:2]):
            run.append(int(piece[:2], 16))
            piece = piece[2:]
            if not piece:
                continue
            done += flush() + piece
        else:
            done += flush() + "\\x" + piece
    return done + flush()
