# SPDX-License-Identifier: Apache-2.0
"""Parses argv and the environment into the options of one command."""

from __future__ import annotations

import argparse
import os
import re

from ..errors import UsageError
from . import environment
from .options import COMMANDS, EXAMPLES, add_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, NoReturn

NAME = "container-oomkill"


class Parser(argparse.ArgumentParser):
    """Raises instead of printing its usage: an error is one line, with where to read on."""

    variables: Mapping[str, str] = {}  # option -> the variable it was taken from

    def error(self, message: str) -> NoReturn:
        # `NAME.__name__` of a function that reads a value says what was expected.
        message = re.sub(r"invalid (.+) value: (.*)", r"expected a \1, found \2", message)
        message = f"{message}: see `{self.prog} --help`"
        raise UsageError(environment.as_given(message, self.variables))


class Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, up to 100 columns.

    Told here, because argparse asks shutil whenever an option is added, and that imports every
    compression Python knows.
    """

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size(1).columns
        except OSError:
            columns = 80
        super().__init__(prog, width=min(columns, 100) - 2)


class Version(argparse.Action):
    """Prints what runs here; asks libbpf only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from .. import __version__, libbpf

        print(f"{NAME} {__version__}, libbpf {libbpf.version()}")  # noqa: T201 - asked for
        parser.exit()


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> argparse.Namespace:
    """Return the chosen ``command`` and its options; `UsageError` for invalid ones.

    ``variables``, one of the options, is for `environment.as_given`.
    """
    chosen = argv[0] if argv else ""
    parser, command = build_parser(chosen)
    if command is None:
        return parser.parse_args(argv)
    given, command.variables = environment.arguments_from(command._actions, environ, argv)
    args = argparse.Namespace(variables=command.variables)
    args = parser.parse_args([chosen, *given, *argv[1:]], args)
    environment.refuse_unknown(environ, environment.variables_of(command._actions), all_variables)
    return args


def log_options(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return what `log.configure` takes, wherever in ``argv`` it stands and whatever else is wrong.

    Invalid values are left to `parse`, which reports them.
    """
    parser = Parser(
        add_help=False, allow_abbrev=False, exit_on_error=False, formatter_class=Formatter
    )
    add_log(parser)
    try:
        given, _ = environment.arguments_from(parser._actions, environ, argv)
        args, _ = parser.parse_known_args([*given, *argv])
    except (argparse.ArgumentError, UsageError):
        return {}
    return {"form": args.log_format, "level": args.log_level}


def all_variables() -> Iterator[str]:
    """Yield the variables of all commands."""
    for name in COMMANDS:
        _, command = build_parser(name)
        if command is not None:
            yield from environment.variables_of(command._actions)


def build_parser(chosen: str) -> tuple[Parser, Parser | None]:
    """Return the parser, and that of the chosen command: the only one that gets its options."""
    parser = Parser(
        prog=NAME,
        description="Records every kill by the kernel's OOM killer: which container, which limit, "
        "where the memory was, and why.",
        epilog=f"{EXAMPLES}\n{environment.HELP}",
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument(
        "--version",
        action=Version,
        nargs=0,
        default=argparse.SUPPRESS,  # it is no setting of a command
        help="show the version of this program and of libbpf and exit",
    )
    added = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog=parser.prog
    )
    commands = {
        name: added.add_parser(
            name,
            help=each.summary,
            usage=" ".join(filter(None, (NAME, name, "[OPTION]...", each.arguments))),
            description=each.summary[0].upper() + each.summary[1:] + ".",
            epilog="\n".join(filter(None, (each.examples, environment.HELP))),
            allow_abbrev=False,
            formatter_class=Formatter,
        )
        for name, each in COMMANDS.items()
    }
    if chosen not in commands:
        return parser, None
    COMMANDS[chosen].add_options(commands[chosen])
    add_log(commands[chosen])
    return parser, commands[chosen]
