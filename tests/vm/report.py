# SPDX-License-Identifier: Apache-2.0
"""Takes pytest's JUnit files of every kernel and rung, gives one table and its closing line.

A cell is ok, FAIL, skip, or - where a session knows no such test. What stopped a whole session
(no report, no test, a guest that died) is a trouble of its own and counts as a failure.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

# Short heads keep eighteen columns on a screen.
_SHORT = {"raw_tracepoint": "raw_tp"}
Outcome = Literal["ok", "FAIL", "skip"]


@dataclass(frozen=True)
class Case:
    """One test in one session; `message` is why it failed or was skipped."""

    test: str
    outcome: Outcome
    message: str
    seconds: float


@dataclass(frozen=True)
class Session:
    """One pytest run: the column (kernel, rung). `trouble` says why it is not to be trusted."""

    kernel: str
    rung: str
    cases: tuple[Case, ...] = ()
    trouble: str = ""


@dataclass
class Matrix:
    """All sessions, in the order of the columns, and the facts about each kernel's guest."""

    sessions: list[Session] = field(default_factory=list)
    kernels: list[dict[str, object]] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """passed, failed, skipped over every cell; a trouble is a failure."""
        outcomes = [case.outcome for session in self.sessions for case in session.cases]
        troubles = sum(1 for session in self.sessions if session.trouble)
        return {
            "passed": outcomes.count("ok"),
            "failed": outcomes.count("FAIL") + troubles,
            "skipped": outcomes.count("skip"),
        }

    def failed(self) -> bool:
        """Whether anything failed, or nothing was tested at all."""
        counts = self.counts
        return counts["failed"] > 0 or counts["passed"] == 0

    def write(self, path: Path) -> None:
        """The raw results as JSON, for the support page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "kernels": self.kernels,
            "sessions": [asdict(session) for session in self.sessions],
            "counts": self.counts,
        }
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_session(kernel: str, rung: str, xml: Path, status: int | None) -> Session:
    """One column from its JUnit file and pytest's exit status (None: pytest never ended)."""
    if status is None:
        return Session(kernel, rung, trouble="pytest did not run to its end")
    try:
        root = ET.parse(xml).getroot()
    except FileNotFoundError:
        return Session(kernel, rung, trouble=f"no report {xml.name}; pytest's status {status}")
    except ET.ParseError as error:
        return Session(kernel, rung, trouble=f"read report {xml.name}: {error}")
    cases = tuple(_case(element) for element in root.iter("testcase"))
    trouble = ""
    if not cases:
        trouble = f"no test ran; pytest's status {status}"
    elif status != (1 if any(case.outcome == "FAIL" for case in cases) else 0):
        trouble = f"pytest's status {status} does not fit its report"
    return Session(kernel, rung, cases, trouble)


def _case(element: ET.Element) -> Case:
    # "tests.kernel.test_scenarios" + "test_nested[2]": the folder is the same for every row.
    file = element.get("classname", "").removeprefix("tests.kernel.").removeprefix("test_")
    name = element.get("name", "").removeprefix("test_")
    outcome: Outcome = "ok"
    message = ""
    for child in element:
        if child.tag in ("failure", "error"):
            outcome = "FAIL"
            message = child.get("message") or (child.text or "").strip()
        elif child.tag == "skipped" and outcome == "ok":
            outcome, message = "skip", child.get("message") or ""
    test = ".".join(part for part in (file, name) if part)
    return Case(test, outcome, message, float(element.get("time", "0")))


def render(matrix: Matrix) -> str:
    """The table, the reasons below it, and `N passed, N failed, N skipped` as the last line."""
    parts = ["\n".join(_table(matrix.sessions))]
    parts += _reasons("skipped", "skip", matrix.sessions)
    parts += _reasons("FAILED", "FAIL", matrix.sessions)
    if troubles := [s for s in matrix.sessions if s.trouble]:
        lines = [f"  {s.kernel} {s.rung}: {_indented(s.trouble)}" for s in troubles]
        parts.append("\n".join(["NO RESULT", *lines]))
    counts = matrix.counts
    parts.append(", ".join(f"{number} {word}" for word, number in counts.items()))
    return "\n\n".join(parts)


def _table(sessions: Sequence[Session]) -> Iterator[str]:
    tests = list(dict.fromkeys(case.test for session in sessions for case in session.cases))
    first = max([len(test) for test in tests] + [len("scenario")])
    kernels = [session.kernel for session in sessions]
    rungs = [_SHORT.get(session.rung, session.rung) for session in sessions]
    widths = [max(map(len, (*pair, "FAIL"))) for pair in zip(kernels, rungs, strict=True)]
    shown = [name if i == 0 or kernels[i - 1] != name else "" for i, name in enumerate(kernels)]
    yield _line("", first, shown, widths)
    yield _line("scenario", first, rungs, widths)
    outcomes = [{case.test: case.outcome for case in session.cases} for session in sessions]
    for test in tests:
        yield _line(test, first, [column.get(test, "-") for column in outcomes], widths)


def _line(name: str, first: int, cells: Iterable[str], widths: Iterable[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([name.ljust(first), *padded]).rstrip()


def _reasons(title: str, outcome: Outcome, sessions: Sequence[Session]) -> list[str]:
    """One paragraph: each test and message once, followed by the columns that gave it."""
    where: dict[tuple[str, str], list[str]] = {}
    for session in sessions:
        for case in session.cases:
            if case.outcome == outcome:
                column = f"{session.kernel} {session.rung}"
                where.setdefault((case.test, case.message), []).append(column)
    lines = [
        f"  {test} ({', '.join(columns)}): {_indented(message)}"
        for (test, message), columns in where.items()
    ]
    return ["\n".join([title, *lines])] if lines else []


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n      ")
