# SPDX-License-Identifier: Apache-2.0
"""Makes text that anyone may have chosen safe to print on a terminal."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TextIO

# Control, format (bidirectional marks among them), surrogate, private, unassigned; separators,
# blanks other than the one everybody knows; marks that would sit on the character before.
HARMFUL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"}
ELLIPSIS = "…"
CLAUSE_END = re.compile(r"[;:,] ")
BLANK = re.compile(" ")


def printable(text: str) -> str:
    """Write every character that does not show as itself as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if char.isascii():
        return char if char.isprintable() else f"\\x{ord(char):02x}"
    if unicodedata.category(char) in HARMFUL:
        return f"\\u{{{ord(char):x}}}"
    return char


def can_show(stream: TextIO, characters: str) -> bool:
    """Tell whether a stream's encoding has these characters."""
    try:
        characters.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def width(text: str) -> int:
    """Return how many columns a terminal gives a printable text."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def shorten(text: str, columns: int) -> str:
    """Cut the middle out of what is too wide; the end of a path says most."""
    if width(text) <= columns:
        return text
    head, tail = "", ""
    left = columns - 1
    while (piece := text[len(head)]) and width(head + piece) <= left // 3:
        head += piece
    left -= width(head)
    while (piece := text[-len(tail) - 1]) and width(piece + tail) <= left:
        tail = piece + tail
    return head + ELLIPSIS + tail


def wrap(text: str, columns: int, blank: str = "  ") -> list[str]:
    """Break a printable text into lines that fit, at ``blank``.

    At double blanks facts are kept together: ``adj 0`` stays on one line. A sentence breaks at
    single ones, whatever the names in it contain.
    """
    lines: list[str] = []
    for piece in text.split(blank):
        longer = f"{lines[-1]}{blank}{piece}" if lines else piece
        if lines and width(longer) <= columns:
            lines[-1] = longer
        else:
            lines.append(shorten(piece, columns))
    return lines


def shorten_sentence(text: str, fits: Callable[[str], bool]) -> str:
    """Leave out the last clauses of what does not fit; a sentence cut in its middle says less.

    Where not even the first clause fits, it ends after a word. ``fits``: of a longer text, never
    where it is not true of a shorter one.
    """
    if fits(text):
        return text
    for pattern in (CLAUSE_END, BLANK):
        shorter = [match.start() for match in pattern.finditer(text)]
        fitting = bisect_left(shorter, True, key=lambda end: not fits(f"{text[:end]} {ELLIPSIS}"))
        if fitting:
            return f"{text[: shorter[fitting - 1]]} {ELLIPSIS}"
    return ELLIPSIS


def table_row(row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    """Put a table's cells side by side; ``left``: which columns are flush left."""
    return "  ".join(map(pad, row, widths, left)).rstrip()


def pad(text: str, columns: int, left: bool) -> str:
    blanks = " " * (columns - width(text))
    return text + blanks if left else blanks + text


def cut_end(line: str, columns: int) -> str:
    """Cut a line whose start says most."""
    if width(line) <= columns:
        return line
    while width(line) > columns - 1:
        line = line[: columns - 1 - width(line)]
    return line + ELLIPSIS
