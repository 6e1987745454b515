# SPDX-License-Identifier: Apache-2.0
r"""Takes a unit's name as systemd escapes it, gives it for people: ``my\x2dbox`` is ``my-box``."""

from __future__ import annotations

_HEX = frozenset("0123456789abcdef")
_GENERATED = 8  # hexadecimal digits from which on they are no word


def unit_name(cgroup: str) -> str:
    """Return a unit's name from that of its cgroup.

    systemd puts ``_`` before one that the kernel could take for a file of its own: ``_io.service``,
    ``_tasks.slice`` (cg_escape(), basic/cgroup-util.c).
    """
    return unescape(cgroup.removeprefix("_"))


def lasting_name(unit: str) -> str | None:
    """Return what units with a new name at every start have in common; None: it keeps its name.

    ``run-p4711-i4712.scope``, ``session-3.scope``, ``app-firefox-2211.scope``: nobody but a program
    makes a scope, and it numbers them. Of services ``systemd-run`` numbers its own, and systemd
    those of a socket's connections: ``sshd@7-10.0.0.1:22-10.0.0.2:5000.service``.
    """
    stem, dot, kind = unit.rpartition(".")
    template, at, instance = stem.partition("@")
    if kind == "service" and at:
        number, dash, _ = instance.partition("-")
        return f"{template}@*.service" if dash and number.isdecimal() else None
    if kind != "scope" and not (kind == "service" and stem.startswith("run-")):
        return None
    words = stem.split("-")
    kept = len(words)
    if kept > 5 and [len(word) for word in words[-5:]] == [8, 4, 4, 4, 12]:
        kept -= 5
    while kept > 1 and _is_generated(words[kept - 1]):
        kept -= 1
    return None if kept == len(words) else "-".join((*words[:kept], "*")) + dot + kind


def _is_generated(word: str) -> bool:
    if word.isdecimal() or (word[:1] in ("c", "i", "p", "u") and word[1:].isdecimal()):
        return True
    digits = word.removeprefix("r")
    return len(digits) >= _GENERATED and _HEX.issuperset(digits)


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
