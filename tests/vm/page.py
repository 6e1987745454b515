# SPDX-License-Identifier: Apache-2.0
"""Writes docs/kernels.json and the page docs/kernels.md from a matrix run.

Kernels that were not in the run keep what their last one showed. arm64's are
docs/kernels-arm64.json and docs/kernels-arm64.md.

python -m tests.vm.page    # the pages again, of the data kept
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.vm import table
from tests.vm.report import Matrix, Session, shown_tests, why_left_out

DOCS = Path(__file__).parents[2] / "docs"
MACHINES = {"amd64": "x86-64", "arm64": "arm64"}
# What is known of a field only gets worse: one scenario in which it was not exact is enough.
LEVELS = ("recorded", "exact", "approximate")
SIGNS = {"exact": "●", "approximate": "≈", "recorded": "○", None: "-"}
OUTCOMES = {"ok": "✓", "FAIL": "✗", None: "-"}
OF_THE_ROOM = ("schema",)  # says nothing of a kernel


def keep(matrix: Matrix) -> dict[str, Any]:
    """What the page needs of a run: no times, no messages of single tests."""
    reasons = {
        reason: {test: [_column(session) for session in columns] for test, columns in tests.items()}
        for reason, tests in why_left_out(matrix.sessions).items()
    }
    tests = shown_tests(matrix.sessions)
    today = datetime.now(UTC).date().isoformat()
    return {
        "kernels": [
            {name: facts[name] for name in ("name", "release", "why")} | {"shown": today}
            for facts in matrix.kernels
        ],
        "tests": tests,
        "left_out": {
            reason: {test: columns for test, columns in of.items() if test in tests}
            for reason, of in reasons.items()
        },
        "columns": [
            {
                "kernel": session.kernel,
                "hook": session.hook,
                "outcomes": {
                    case.test: case.outcome for case in session.cases if case.outcome != "left out"
                },
                "fields": _fields(session),
            }
            for session in matrix.sessions
        ],
    }


def join(kept: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What was kept, with the kernels of a new run in place of what they had."""
    anew = {kernel["name"] for kernel in new["kernels"]}
    old = [column for column in kept["columns"] if column["kernel"] not in anew]
    still = {f"{column['kernel']} {column['hook']}" for column in old}
    left_out = {reason: dict(tests) for reason, tests in new["left_out"].items()}
    for reason, tests in kept["left_out"].items():
        of_reason = left_out.setdefault(reason, {})
        for test, columns in tests.items():
            if mine := [column for column in columns if column in still]:
                of_reason[test] = mine + of_reason.get(test, [])
    kernels = [kernel for kernel in kept["kernels"] if kernel["name"] not in anew]
    return {
        "kernels": sorted(kernels + new["kernels"], key=lambda kernel: _place(kernel["name"])),
        "tests": list(dict.fromkeys(new["tests"] + kept["tests"])),
        "left_out": left_out,
        "columns": sorted(old + new["columns"], key=lambda column: _place(column["kernel"])),
    }


def _place(name: str) -> tuple[int, str]:
    """In the order of the table, a kernel's setups after the plain one."""
    names = [kernel.name for kernel in table.load()]
    return (names.index(name.split()[0]), name)


def _column(session: Session) -> str:
    return f"{session.kernel} {session.hook}"


def _fields(session: Session) -> dict[str, list[str]]:
    """Field -> what is known of it, and the first scenario that showed so."""
    known: dict[str, list[str]] = {}
    for case in session.cases:
        for field, level in case.fields.items():
            if case.outcome != "ok" or field in OF_THE_ROOM:
                continue
            if field not in known or LEVELS.index(level) > LEVELS.index(known[field][0]):
                known[field] = [level, case.test]
    return known


def data_file(arch: str) -> Path:
    """Where an architecture's data are kept; the page is beside them, a .md."""
    return DOCS / ("kernels.json" if arch == "amd64" else f"kernels-{arch}.json")


def render(data: dict[str, Any], arch: str) -> str:
    """The page, Markdown."""
    return "\n".join(_lines(data, arch)) + "\n"


def _lines(data: dict[str, Any], arch: str) -> Iterator[str]:
    command = f"make test-kernels{'' if arch == 'amd64' else f' ARCH={arch}'}"
    kernels = [kernel["name"] for kernel in data["kernels"]]
    columns = {(column["kernel"], column["hook"]): column for column in data["columns"]}
    hooks = list(dict.fromkeys(hook for _, hook in columns))
    yield "<!-- SPDX-License-Identifier: Apache-2.0 -->"
    yield f"<!-- Made by `{command} PUBLISH=1` of what it ran; do not edit. -->"
    yield f"# Kernels, {MACHINES[arch]}"
    yield ""
    yield "Real kills on real kernels, each hook forced on each, judged by the kernel's own log,"
    yield f"the cgroups' files and /proc. `{command}` runs it all again."
    yield ""
    yield from markdown_table(
        ["kernel", "release", "last tested", "what it adds"],
        (
            [kernel["name"], kernel["release"], kernel["shown"], kernel["why"]]
            for kernel in data["kernels"]
        ),
    )
    if missing := [name for name in _wanted(arch) if name not in kernels]:
        yield f"In tests/vm/kernels.toml, but not on this page yet: {', '.join(missing)}."
        yield ""
    yield "## The record, field by field"
    yield ""
    yield "● exact: equal to the kernel's own number. ≈ approximate: it differed, by no more than"
    yield "what is known to lie between the two (the log's per-CPU shares, a thread's last pages)."
    yield "○ recorded: not null, and the kernel says it nowhere else. - absent: always null. The"
    yield "scenario is the one that showed it, on the last kernel that has it."
    yield ""
    for hook in hooks:
        yield f"### {hook}"
        yield ""
        fields = [columns[kernel, hook]["fields"] for kernel in kernels]
        yield from markdown_table(["field", *kernels, "scenario"], _field_rows(fields, columns))
    yield "## The scenarios"
    yield ""
    yield f"In each cell: {', '.join(hooks)}. - is left out, for a reason given below."
    yield ""
    yield from markdown_table(
        ["scenario", *kernels],
        (
            [
                test,
                *(
                    " ".join(
                        OUTCOMES[columns[kernel, hook]["outcomes"].get(test)] for hook in hooks
                    )
                    for kernel in kernels
                ),
            ]
            for test in data["tests"]
        ),
    )
    for reason, tests in data["left_out"].items():
        if tests:
            yield f"- {reason}: {'; '.join(_where(tests, len(columns)))}"


def _wanted(arch: str) -> Iterator[str]:
    for kernel in table.load():
        if kernel.arch == arch:
            yield from (
                f"{kernel.name} {setup.name}".strip()
                for setup in table.setups(kernel.name, kernel.arch)
            )


def _field_rows(
    fields: Sequence[dict[str, list[str]]], columns: dict[Any, dict[str, Any]]
) -> Iterator[list[str]]:
    every = dict.fromkeys(field for column in columns.values() for field in column["fields"])
    for field in every:
        known = [of_kernel.get(field) for of_kernel in fields]
        scenario = next((shown[1] for shown in reversed(known) if shown), "")
        signs = (SIGNS[shown[0] if shown else None] for shown in known)
        yield [f"`{field}`", *signs, scenario]


def _where(tests: dict[str, list[str]], everywhere: int) -> Iterator[str]:
    """Tests that are left out in the same columns, together."""
    where: dict[str, list[str]] = {}
    for test, columns in tests.items():
        text = "everywhere" if len(columns) == everywhere else ", ".join(columns)
        where.setdefault(text, []).append(test)
    for columns_text, names in where.items():
        yield f"{', '.join(names)} ({columns_text})"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table's lines, with an empty one behind."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def publish(matrix: Matrix, arch: str) -> None:
    """Write both files."""
    data = keep(matrix)
    kept = data_file(arch)
    if kept.exists():
        data = join(json.loads(kept.read_text(encoding="utf-8")), data)
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    kept.write_text(text, encoding="utf-8")
    _write_page(data, arch)


def _write_page(data: dict[str, Any], arch: str) -> None:
    data_file(arch).with_suffix(".md").write_text(render(data, arch), encoding="utf-8")


def main() -> None:
    """The pages of the data kept."""
    for arch in MACHINES:
        if (kept := data_file(arch)).exists():
            _write_page(json.loads(kept.read_text(encoding="utf-8")), arch)


if __name__ == "__main__":
    main()
