# SPDX-License-Identifier: Apache-2.0
"""Writes docs/shapes.json and the page docs/shapes.md from what `make shapes` ran.

    python -m tests.vm.shapes_page build/shapes/vm/*/shapes-*.json
    python -m tests.vm.shapes_page    # the page again, of the data kept

A kernel that was not in the run keeps what its last one showed.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
DATA, PAGE = DOCS / "shapes.json", DOCS / "shapes.md"


def main(paths: Sequence[str]) -> None:
    """Join what the files have with what is kept; write both."""
    kept = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else []
    today = datetime.now(UTC).date().isoformat()
    for path in paths:
        kept = join(kept, json.loads(Path(path).read_text(encoding="utf-8")) | {"shown": today})
    DATA.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(render(kept), encoding="utf-8")


def join(kept: list[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    """What was kept, with a new run in place of that kernel's, oldest kernel first."""
    others = [row for row in kept if _kernel(row) != _kernel(new)]
    return sorted([*others, new], key=lambda row: (row["machine"], _version(row), row["hook"]))


def _kernel(row: dict[str, Any]) -> tuple[str, tuple[int, ...], str, str]:
    return row["machine"], _version(row), row["cgroup"], row["hook"]


def _version(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in row["release"].split(".")[:2])


def render(rows: Sequence[dict[str, Any]]) -> str:
    """The page, Markdown."""
    return "\n".join(_lines(rows)) + "\n"


def _lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    shapes = list(dict.fromkeys(scripted for row in rows for scripted, _, _ in row["told"]))
    yield "<!-- SPDX-License-Identifier: Apache-2.0 -->"
    yield "<!-- Made by `make shapes` of what it ran; do not edit. -->"
    yield "# Shapes, as scripted and as told"
    yield ""
    yield "Programs of each [shape](verdicts.md#leak), drawn by chance: size, rate, limit, and how"
    yield "they begin. Each ran in a cgroup of its own until the kernel killed it there; its record"
    yield "had to have the shape that was drawn. `make shapes` runs all of it again, with others."
    yield ""
    yield "In a cell: told as drawn, of all that were drawn so; in brackets, what others were told."
    yield "Drawn again: the machine was too slow for the program as it was drawn, by memory.current"
    yield "looked at meanwhile, whatever its record said. The recorder took a sample each half a"
    yield "second, so a minute of a definition took 30 s. No program is where two definitions meet."
    yield ""
    head = ["kernel", "cgroup", "hook", "last tested", *shapes, "kills", "drawn again"]
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        cells = [row["release"], row["cgroup"], row["hook"], row["shown"]]
        cells += [_cell(row, shape) for shape in shapes]
        cells += [str(sum(count for _, _, count in row["told"])), str(row["again"])]
        yield f"| {' | '.join(cells)} |"


def _cell(row: dict[str, Any], shape: str) -> str:
    told = Counter({found: count for scripted, found, count in row["told"] if scripted == shape})
    others = [f"{count} {found}" for found, count in told.items() if found != shape]
    cell = f"{told[shape]} of {told.total()}"
    return f"{cell} ({', '.join(others)})" if others else cell


if __name__ == "__main__":
    main(sys.argv[1:])
