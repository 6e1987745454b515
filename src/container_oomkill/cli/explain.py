# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill explain`: what a verdict means and what to do next, from the package itself.

The text is docs/verdicts.md, which the exporter's pages show too.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..errors import UsageError
from ..system.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

DOCUMENT = Path(__file__).parents[1] / "web" / "page" / "assets" / "verdicts.md"
PART, SECTION = "## ", "### "
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


class ExplainSettings(Settings):
    """As the options have them."""

    topic: str | None = None  # None: list them

    @classmethod
    def from_args(cls, args: Namespace) -> ExplainSettings:
        return cls(topic=args.topic)


def command(args: Namespace) -> int:
    """Print a section, or the names of all; `UsageError` for one that does not exist."""
    topic = ExplainSettings.from_args(args).topic
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = topics(text) if topic is None else section(text, topic)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def topics(text: str) -> Iterator[str]:
    """Give the names of the sections, by part."""
    for line in text.splitlines():
        if line.startswith(PART):
            yield line.removeprefix(PART) + ":"
        elif line.startswith(SECTION):
            yield "  " + line.removeprefix(SECTION)
    yield "to read one: container-oomkill explain TOPIC"


def section(text: str, topic: str) -> list[str]:
    """Return the lines of a section. Raises `UsageError`."""
    lines = text.splitlines()
    names = [line.removeprefix(SECTION) for line in lines if line.startswith(SECTION)]
    topic = topic.strip().lower().rpartition("#")[2]  # a link to one will do, too
    if topic not in names:
        raise UsageError(f"no topic {topic[:40]!r}: {_advice(topic, names)}")
    start = lines.index(SECTION + topic)
    end = next((n for n in range(start + 1, len(lines)) if lines[n].startswith("#")), len(lines))
    body = LINK.sub(r"\1", "\n".join(lines[start + 1 : end]).strip())
    return [topic, "", *body.splitlines()]


def _advice(topic: str, names: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(topic, names, n=1)
    return f"did you mean {near[0]}?" if near else "`container-oomkill explain` lists them"
