# SPDX-License-Identifier: Apache-2.0
"""Writes docs/exit-137.json, and of it the table in docs/exit-137.md, from runs of test_causes.py.

    python -m tests.vm.causes build/causes/matrix.json    # what a matrix run has written
    python -m tests.vm.causes                             # the table again, of the data kept

Kernels that were not in the run keep what their last one showed.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.kernel.senders import CAUSES
from tests.vm import page, table

PAGE = page.DOCS / "exit-137.md"
DATA = page.DOCS / "exit-137.json"
BEGIN = "<!-- Made by `make causes` of what it ran; do not edit. -->\n"
END = "<!-- The end of what it makes. -->\n"
TEST = "causes.sender"
OOM = "a record of the OOM kill, and none of this kind"


def keep(run: dict[str, Any]) -> dict[str, Any]:
    """What the table needs of a run; raises ValueError if anything failed in it."""
    if run["counts"]["failed"] or not run["counts"]["passed"]:
        raise ValueError(f"{run['counts']['failed']} failed, {run['counts']['passed']} passed")
    today = datetime.now(UTC).date().isoformat()
    return {
        "kernels": [
            {"name": kernel["name"], "release": kernel["release"], "shown": today}
            for kernel in run["kernels"]
        ],
        "columns": [
            {
                "kernel": session["kernel"],
                "hook": session["hook"],
                "outcomes": {_sender(case): case["outcome"] for case in session["cases"]},
                "left_out": {
                    _sender(case): case["message"]
                    for case in session["cases"]
                    if case["outcome"] == "left out"
                },
            }
            for session in run["sessions"]
        ],
    }


def _sender(case: dict[str, Any]) -> str:
    name: str = case["test"]
    return name.removeprefix(f"{TEST}[").removesuffix("]")


def join(kept: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What was kept, with the kernels of a new run in place of what they had."""
    anew = {kernel["name"] for kernel in new["kernels"]}
    order = [kernel.name for kernel in table.load()]
    kernels = [kernel for kernel in kept["kernels"] if kernel["name"] not in anew]
    columns = [column for column in kept["columns"] if column["kernel"] not in anew]
    return {
        "kernels": sorted(kernels + new["kernels"], key=lambda each: order.index(each["name"])),
        "columns": sorted(columns + new["columns"], key=lambda each: order.index(each["kernel"])),
    }


def render(data: dict[str, Any]) -> str:
    """The table, with what is below it; Markdown."""
    return "\n".join(_lines(data)) + "\n"


def _lines(data: dict[str, Any]) -> Iterator[str]:
    kernels = [kernel["name"] for kernel in data["kernels"]]
    hooks = list(dict.fromkeys(column["hook"] for column in data["columns"]))
    outcomes = {(each["kernel"], each["hook"]): each["outcomes"] for each in data["columns"]}
    releases = ", ".join(kernel["release"] for kernel in data["kernels"])
    day = max(kernel["shown"] for kernel in data["kernels"])
    yield f"In each cell: {', '.join(hooks)}; last tested {day} on {releases}."
    yield ""
    yield from page.markdown_table(
        ["sent by", "`killer.cause`", *kernels],
        (
            [
                cause.who,
                OOM if cause.cause is None else f"`{cause.cause}`",
                *(
                    " ".join(_sign(outcomes[kernel, hook].get(name)) for hook in hooks)
                    for kernel in kernels
                ),
            ]
            for name, cause in CAUSES.items()
        ),
    )
    for name, reasons in _reasons(data).items():
        for reason, where in reasons.items():
            yield f"- `{CAUSES[name].cause}`, {', '.join(where)}: {reason}"


def _sign(outcome: str | None) -> str:
    return page.OUTCOMES["ok" if outcome == "ok" else None]


def _reasons(data: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Sender -> why it is left out -> on which kernels."""
    found: dict[str, dict[str, list[str]]] = {}
    for column in data["columns"]:
        for name, reason in column["left_out"].items():
            where = found.setdefault(name, {}).setdefault(reason, [])
            if column["kernel"] not in where:
                where.append(column["kernel"])
    return found


def put(text: str, data: dict[str, Any]) -> str:
    """The page with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render(data)}\n{END}{after}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm.causes", description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="what matrix runs have written")
    args = parser.parse_args(argv)
    data = json.loads(DATA.read_text()) if DATA.exists() else {"kernels": [], "columns": []}
    for path in args.runs:
        try:
            data = join(data, keep(json.loads(path.read_text())))
        except (OSError, ValueError) as error:
            print(f"tests.vm.causes: {path}: {error}", file=sys.stderr)
            return 1
    DATA.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(put(PAGE.read_text(), data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
