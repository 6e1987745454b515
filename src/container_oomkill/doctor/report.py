# SPDX-License-Identifier: Apache-2.0
"""The report of the checks, and its two forms: human-readable and JSON."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import asdict, dataclass, field
from typing import TextIO

COLUMNS = 100


@dataclass(frozen=True)
class Finding:
    """The result of one check: whether it passed, in words, and what to do if not."""

    ok: bool | None  # None: cannot be decided from here
    words: str
    remedy: str | None = None
    log: tuple[str, ...] = ()  # the last lines of libbpf and the verifier


@dataclass
class Report:
    """Findings by heading and name; ``hook`` is the hook a probe would use."""

    kernel: str
    machine: str
    hook: str | None = None
    findings: dict[str, dict[str, Finding]] = field(default_factory=dict)

    @property
    def can_attach(self) -> bool:
        return self.hook is not None

    def add(self, heading: str, name: str, finding: Finding) -> None:
        self.findings.setdefault(heading, {})[name] = finding


def print_json(report: Report, out: TextIO) -> None:
    """One object; the shape is Report's, and ``can_attach``."""
    json.dump({"can_attach": report.can_attach, **asdict(report)}, out, indent=2)
    out.write("\n")


def _print(out: TextIO, head: str, words: str) -> None:
    """Words behind a head, further lines below the first; a path is never broken."""
    lines = textwrap.wrap(
        words, COLUMNS - len(head), break_long_words=False, break_on_hyphens=False
    )
    for number, line in enumerate(lines or [""]):
        out.write((" " * len(head) if number else head) + line + "\n")


def print_text(report: Report, out: TextIO) -> None:
    """Human-readable: a line per finding, what to do below it."""
    out.write(f"kernel {report.kernel} {report.machine}, user {os.geteuid()}\n")
    for heading, findings in report.findings.items():
        out.write(f"\n{heading}\n")
        width = max(map(len, findings))
        for name, finding in findings.items():
            mark = {True: "yes", False: "NO ", None: "-  "}[finding.ok]
            used = " (in use)" if heading == "hooks" and name == report.hook else ""
            _print(out, f"  {mark} {name:{width}}  ", finding.words + used)
            if finding.remedy and not finding.ok:
                _print(out, f"      {'':{width}}  -> ", finding.remedy)
            for line in finding.log:
                _print(out, f"      {'':{width}}     ", line)
    if report.can_attach:
        out.write(f"\nOK: attaches with {report.hook}\n")
    else:
        out.write("\nFAILED: no hook attaches\n")
