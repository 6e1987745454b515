# SPDX-License-Identifier: Apache-2.0
"""Reads a command's options where they are right, without argparse.

argparse takes longer to import and to be told of the options than the hooks take to attach; most of
it is for help and for errors. So the same calls that define an option for argparse note it here,
and a short loop reads what was given. Whatever it does not understand, it leaves to argparse, which
then says what is wrong with it. A test compares the two.
"""

from __future__ import annotations

import os
from types import SimpleNamespace

from ..errors import UsageError
from . import environment
from .noted_options import Noted, Option
from .options import COMMANDS, add_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

HERE = ("probe", "exporter")  # whoever attaches; the others have arguments that are no options


def read(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Namespace | None:
    """Return what `parser.parse` returns, or None for what is left to it."""
    if not argv or argv[0] not in HERE:
        return None
    noted: Any = Noted()
    COMMANDS[argv[0]].add_options(noted)
    add_log(noted)
    try:
        given, variables = environment.arguments_from(noted.options, environ, argv)
    except UsageError:
        return None
    known = environment.variables_of(noted.options)
    if any(name.startswith(environment.PREFIX) and name not in known for name in environ):
        return None
    args: Any = SimpleNamespace(command=argv[0], variables=variables)
    for each in noted.options:
        setattr(args, each.dest, each.default)
    try:
        for option, value in _pairs([*given, *argv[1:]], noted.options):
            if option.repeatable:
                value = [*(getattr(args, option.dest) or ()), value]
            setattr(args, option.dest, value)
    except Exception:  # noqa: BLE001 - whatever a type raises for what it does not take
        return None
    found: Namespace = args
    return found


def _pairs(argv: Sequence[str], options: Sequence[Option]) -> Iterator[tuple[Option, Any]]:
    """Yield each option with its value. Raises `LookupError` for what is not understood."""
    by_name = {name: each for each in options for name in each.option_strings}
    left = list(reversed(argv))
    while left:
        name, equals, text = left.pop().partition("=")
        option = by_name[name]
        if equals and (option.is_switch or not name.startswith("--") or text == "--"):
            raise LookupError(name)
        if option.is_switch:
            yield option, True
        elif equals:
            yield option, option.value(text)
        elif left and not left[-1].startswith("-"):
            yield option, option.value(left.pop())
        elif option.nargs == "?":
            yield option, option.const
        else:  # nothing behind it, or what argparse may take for a number below 0
            raise LookupError(name)
