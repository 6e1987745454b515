# SPDX-License-Identifier: Apache-2.0
"""Serves docs/verdicts.md and docs/runbooks as pages: their links must work without a network.

"What to do next" of an incident leads to the one, `runbook_url` of an alert to the other. It
supports the Markdown that these files use: headings, paragraphs, indented blocks, `code`, and
links to other files (as their text).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import htpy as h

from .layout import PageContext, page

FOLDER = Path(__file__).with_name("assets")
FILES = (
    "verdicts.md",
    *sorted(f"runbooks/{each.name}" for each in (FOLDER / "runbooks").glob("*.md")),
)
HEADINGS = {"#": h.h1, "##": h.h2, "###": h.h3}
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def read(name: str) -> str | None:
    """Return the file's text; None: there is none of this name."""
    return (FOLDER / name).read_text(encoding="utf-8") if name in FILES else None


def docs(text: str, around: PageContext) -> h.Element:
    title = next(line for line in text.splitlines() if line.startswith("# "))
    return page(
        f"{title.removeprefix('# ')} - container-oomkill",
        [
            h.nav(".crumbs", aria_label="Breadcrumb")[h.a(href=around.home)["All incidents"]],
            h.article(".docs")[_blocks(text)],
        ],
        around,
    )


def _blocks(text: str) -> Iterator[h.Node]:
    for block in re.split(r"\n{2,}", text.strip()):
        lines = [line for line in block.splitlines() if not line.startswith("<!--")]
        if not lines:
            continue
        mark, _, words = lines[0].partition(" ")
        if mark in HEADINGS:
            yield HEADINGS[mark](id=words.lower().replace(" ", "-"))[words]
        elif block.startswith("    "):
            yield h.pre["\n".join(line.removeprefix("    ") for line in lines)]
        else:
            yield h.p[_inline(LINK.sub(r"\1", " ".join(lines)))]


def _inline(words: str) -> Iterator[h.Node]:
    for number, piece in enumerate(words.split("`")):
        yield h.code[piece] if number % 2 else piece
