# SPDX-License-Identifier: Apache-2.0
"""What the parser knows of a command, as data: for its man page and for docs/options.md."""

from __future__ import annotations

import argparse
import re

from ..system.settings import Settings
from . import environment
from .kubectl import parser as plugin
from .parser import NAME, build_parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Option(Settings):
    """One option or argument.

    ``names``: `-o`, `--output`; of an argument, none. ``value``: what stands behind it, `[DIR]` if
    it may be left out; None for a switch. ``variable``: that of the environment, if one sets it.
    """

    names: tuple[str, ...]
    value: str | None
    help: str
    variable: str | None


class Group(Settings):
    """Options about one subject; the first group, of the rest, has no title."""

    title: str | None
    description: str | None
    options: tuple[Option, ...]


class Reference(Settings):
    """One command, or the program itself.

    ``blocks``: the paragraphs under `--help`'s options: title -> its lines, without their indent.
    ``commands``: name -> summary; of the program itself alone.
    """

    name: str
    usage: str
    description: str
    groups: tuple[Group, ...]
    blocks: Mapping[str, tuple[str, ...]]
    commands: Mapping[str, str]


def reference(command: str = "") -> Reference:
    """Return that of a command; of the program itself, if none is named."""
    program, parser = build_parser(command)
    chosen = parser or program
    names = environment.variables_of(chosen._actions).items()
    return _described(
        f"{NAME} {command}".strip(),
        chosen,
        {option: variable for variable, (option, _) in names},
        _commands(program) if parser is None else {},
    )


def plugin_reference() -> Reference:
    """Return that of `kubectl oomkill`, whose options have no variables."""
    return _described(plugin.NAME, plugin.build_parser(), {}, {})


def _described(
    name: str,
    parser: argparse.ArgumentParser,
    variables: Mapping[str, str],
    commands: Mapping[str, str],
) -> Reference:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return Reference(
        name=name,
        usage=usage,
        description=parser.description or "",
        groups=tuple(_groups(parser, variables)),
        blocks=_blocks(parser.epilog or ""),
        commands=commands,
    )


def _groups(parser: argparse.ArgumentParser, variables: Mapping[str, str]) -> list[Group]:
    # argparse's own two, "positional arguments" and "options", are one list here.
    first, *others = parser._action_groups[1:]
    rest = [*parser._action_groups[0]._group_actions, *first._group_actions]
    found: list[tuple[str | None, str | None, list[argparse.Action]]] = [(None, None, rest)]
    found += [(each.title, each.description, each._group_actions) for each in others]
    return [
        Group(
            title=title,
            description=description,
            options=tuple(
                _option(action, variables, parser)
                for action in actions
                if not isinstance(action, argparse._SubParsersAction)
            ),
        )
        for title, description, actions in found
        if actions
    ]


def _option(
    action: argparse.Action, variables: Mapping[str, str], parser: argparse.ArgumentParser
) -> Option:
    names = tuple(action.option_strings)
    value = None
    if action.nargs != 0:
        value = "|".join(map(str, action.choices or ())) or str(action.metavar or "")
        value = value or action.dest.upper()
        if action.nargs == "?":
            value = f"[{value}]"
    return Option(
        names=names,
        value=value,
        help=parser._get_formatter()._expand_help(action),
        variable=next((variables[name] for name in names if name in variables), None),
    )


def _blocks(epilog: str) -> dict[str, tuple[str, ...]]:
    blocks = re.findall(r"^(\w[\w ]*):\n((?:  .*\n)+)", epilog + "\n", re.MULTILINE)
    return {title: tuple(line[2:] for line in text.splitlines()) for title, text in blocks}


def _commands(program: argparse.ArgumentParser) -> dict[str, str]:
    added = next(each for each in program._actions if isinstance(each, argparse._SubParsersAction))
    return {str(each.dest): each.help or "" for each in added._choices_actions}
