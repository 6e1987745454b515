# SPDX-License-Identifier: Apache-2.0
"""Writes docs/options.md from the parser.

python -m container_oomkill.cli.options_page docs/options.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from .options import COMMANDS
from .reference import Group, Option, Reference, plugin_reference, reference

INTRODUCTION = """\
# Options

<!-- written by `python -m container_oomkill.cli.options_page`: change the option, not this -->

Every option of every command, with the variable that sets it from the environment; `--help` and
the man pages say the same. The command line takes precedence over the environment. Several values
of one variable are separated by commas; for a switch it is `true` or `false`.

Exit status: 0 done, 1 failed while running, 2 wrong usage, 3 this kernel or these privileges cannot
run it.
"""
PLUGIN_VARIABLES = (
    "It takes no variables but `KUBECONFIG`; [kubectl.md](kubectl.md) has more of it."
)
# What every command has, told once, at the end.
COMMON = ("logging (standard error)",)


def document() -> str:
    """Return docs/options.md."""
    parts = [INTRODUCTION]
    for command in COMMANDS:
        parts += _section(command, reference(command))
    parts += _section("kubectl oomkill", plugin_reference())
    parts.append(f"\n{PLUGIN_VARIABLES}\n")
    parts.append("\n## Of every command\n")
    of = reference(next(iter(COMMANDS)))
    parts += [_table(each) for each in of.groups if each.title in COMMON]
    return "".join(parts)


def _section(title: str, of: Reference) -> Iterator[str]:
    yield f"\n## {title}\n\n{of.description}\n\n```\n{of.usage}\n```\n"
    yield from (_table(each) for each in of.groups if each.title not in COMMON)
    if examples := of.blocks.get("examples"):
        yield "\n```sh\n" + "".join(map(_commented, examples)) + "```\n"


def _table(group: Group) -> str:
    rows = []
    for option in group.options:
        if "--help" not in option.names:
            variable = f"`{option.variable}`" if option.variable else ""
            rows.append(f"| {_head(option)} | {_cell(option.help)} | {variable} |\n")
    if not rows:
        return ""
    head = ""
    if group.title:
        head = f"\n{group.title[0].upper()}{group.title[1:]}. {group.description or ''}".rstrip()
        head += "\n"
    return f"{head}\n| option | meaning | variable |\n|---|---|---|\n{''.join(rows)}"


def _commented(example: str) -> str:
    """Return `command   what it does` as a shell takes it."""
    command, words = re.split(r" {2,}", example, maxsplit=1)
    return f"{command}  # {words}\n"


def _head(option: Option) -> str:
    names = option.names or ("",)
    value = option.value or ""
    return ", ".join(f"`{_cell(f'{name} {value}'.strip())}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m container_oomkill.cli.options_page docs/options.md")
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
