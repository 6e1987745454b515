# SPDX-License-Identifier: Apache-2.0
"""Makes one table of what tests/kernel reported on every kernel and hook.

A cell is ok, FAIL, or - where the kernel or the hook cannot show it, with the reason below.
What stopped a whole session (no result, no test, a guest that died) is a trouble of its own and
counts as a failure.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

# Short heads keep eighteen columns on a screen.
_SHORT = {"raw_tracepoint": "raw_tp"}
Outcome = Literal["ok", "FAIL", "left out"]


@dataclass(frozen=True)
class Case:
    """One test in one session; `message` is why it is not ok.

    `fields`: what it has shown of the record's fields (tests/support/kernel/evidence.py).
    """

    test: str
    outcome: Outcome
    message: str
    seconds: float
    fields: dict[str, str]


@dataclass(frozen=True)
class Session:
    """One hook in one guest: a column. `trouble` says why it is not to be trusted."""

    kernel: str  # "6.1", or with its setup: "6.1 hybrid"
    hook: str
    cases: tuple[Case, ...] = ()
    trouble: str = ""


@dataclass
class Matrix:
    """All sessions, in the order of the columns, and the facts about each kernel's guest."""

    sessions: list[Session] = field(default_factory=list)
    kernels: list[dict[str, object]] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """passed, failed over every cell; a trouble is a failure."""
        outcomes = [case.outcome for session in self.sessions for case in session.cases]
        troubles = sum(1 for session in self.sessions if session.trouble)
        return {
            "passed": outcomes.count("ok"),
            "failed": outcomes.count("FAIL") + troubles,
        }

    def failed(self) -> bool:
        """Whether anything failed, or nothing was tested at all."""
        counts = self.counts
        return counts["failed"] > 0 or counts["passed"] == 0

    def without_failures(self) -> Self:
        """What is left with the kernels in which nothing failed."""
        failed = {
            session.kernel
            for session in self.sessions
            if session.trouble or any(case.outcome == "FAIL" for case in session.cases)
        }
        return type(self)(
            [session for session in self.sessions if session.kernel not in failed],
            [kernel for kernel in self.kernels if kernel["name"] not in failed],
        )

    def write(self, path: Path) -> None:
        """The raw results as JSON, for the support page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "kernels": self.kernels,
            "sessions": [asdict(session) for session in self.sessions],
            "counts": self.counts,
        }
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_sessions(
    kernel: str, hooks: Sequence[str], results: Path, status: int | None, died: str = ""
) -> list[Session]:
    """The columns of one guest: its lines of JSON, and pytest's status (None: it never ended)."""
    try:
        lines = results.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        lines = []
    cases: dict[str, list[Case]] = {hook: [] for hook in hooks}
    for line in lines:
        if not line.endswith("\n"):  # the guest died over it
            break
        cell = json.loads(line)
        ran_on = cell.pop("hook")
        for hook in [ran_on] if ran_on else hooks:
            cases[hook].append(Case(**cell))
    trouble = "" if status is not None else died or "pytest did not run to its end"
    failed = any(case.outcome == "FAIL" for of_hook in cases.values() for case in of_hook)
    if not trouble and status != (1 if failed else 0):
        trouble = f"pytest's status {status} does not fit its results"
    return [
        Session(kernel, hook, tuple(of_hook), trouble or _nothing_ran(of_hook))
        for hook, of_hook in cases.items()
    ]


def _nothing_ran(cases: Iterable[Case]) -> str:
    return "" if any(case.outcome != "left out" for case in cases) else "no test ran"


def render(matrix: Matrix) -> str:
    """The table, the reasons below it, and `N passed, N failed` as the last line."""
    parts = ["\n".join(_table(matrix.sessions))]
    parts += _left_out(matrix.sessions)
    parts += _reasons("FAILED", "FAIL", matrix.sessions)
    if troubles := [s for s in matrix.sessions if s.trouble]:
        lines = [f"  {s.kernel} {s.hook}: {_indented(s.trouble)}" for s in troubles]
        parts.append("\n".join(["NO RESULT", *lines]))
    counts = matrix.counts
    parts.append(", ".join(f"{number} {word}" for word, number in counts.items()))
    return "\n\n".join(parts)


def shown_tests(sessions: Sequence[Session]) -> list[str]:
    """The rows: every test that ran in one session at least, as they came."""
    cases = [case for session in sessions for case in session.cases]
    ran = {case.test for case in cases if case.outcome != "left out"}
    return [test for test in dict.fromkeys(case.test for case in cases) if test in ran]


def _table(sessions: Sequence[Session]) -> Iterator[str]:
    tests = shown_tests(sessions)
    first = max([len(test) for test in tests] + [len("scenario")])
    kernels = [session.kernel for session in sessions]
    hooks = [_SHORT.get(session.hook, session.hook) for session in sessions]
    widths = [max(map(len, (*pair, "FAIL"))) for pair in zip(kernels, hooks, strict=True)]
    shown = [name if i == 0 or kernels[i - 1] != name else "" for i, name in enumerate(kernels)]
    yield _line("", first, shown, widths)
    yield _line("scenario", first, hooks, widths)
    outcomes = [
        {case.test: case.outcome for case in session.cases if case.outcome != "left out"}
        for session in sessions
    ]
    for test in tests:
        yield _line(test, first, [column.get(test, "-") for column in outcomes], widths)


def _line(name: str, first: int, cells: Iterable[str], widths: Iterable[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([name.ljust(first), *padded]).rstrip()


def why_left_out(sessions: Sequence[Session]) -> dict[str, dict[str, list[Session]]]:
    """Reason -> test -> the columns that cannot show it."""
    reasons: dict[str, dict[str, list[Session]]] = {}
    for session in sessions:
        for case in session.cases:
            if case.outcome == "left out":
                reasons.setdefault(case.message, {}).setdefault(case.test, []).append(session)
    return reasons


def _left_out(sessions: Sequence[Session]) -> list[str]:
    """One paragraph: a reason, and the tests it keeps from being shown."""
    lines = []
    for reason, tests in why_left_out(sessions).items():
        lines.append(f"  {reason}:")
        where: dict[str, list[str]] = {}
        for test, columns in tests.items():
            where.setdefault(_columns(columns, sessions), []).append(test)
        lines += [f"      {columns}: {', '.join(names)}" for columns, names in where.items()]
    return ["\n".join(["- left out", *lines])] if lines else []


def _columns(some: Sequence[Session], every: Sequence[Session]) -> str:
    if len(some) == len(every):
        return "everywhere"
    return ", ".join(f"{session.kernel} {session.hook}" for session in some)


def _reasons(title: str, outcome: Outcome, sessions: Sequence[Session]) -> list[str]:
    """One paragraph: each test and message once, followed by the columns that gave it."""
    where: dict[tuple[str, str], list[str]] = {}
    for session in sessions:
        for case in session.cases:
            if case.outcome == outcome:
                column = f"{session.kernel} {session.hook}"
                where.setdefault((case.test, case.message), []).append(column)
    lines = [
        f"  {test} ({', '.join(columns)}): {_indented(message)}"
        for (test, message), columns in where.items()
    ]
    return ["\n".join([title, *lines])] if lines else []


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n      ")
