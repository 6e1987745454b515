# SPDX-License-Identifier: Apache-2.0
"""Parses the arguments of `kubectl oomkill`; of the environment it takes $KUBECONFIG only."""

from __future__ import annotations

import argparse

from ... import __version__
from ...errors import UsageError
from ..filters import HELP, add_filters
from ..parser import Formatter, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

NAME = "kubectl oomkill"
SUMMARY = "list OOM kills of the whole cluster, show one in full, or follow them"
DESCRIBE, WATCH, WHY = "describe", "watch", "why"
ARGUMENTS = {DESCRIBE: "ID", WATCH: "", WHY: "POD"}
LIMIT_MAX = 1000
SECONDS_MAX = 300.0
EXAMPLES = """\
examples:
  kubectl oomkill                                 the newest of each container, of all nodes
  kubectl oomkill -n shop --since 1h              of one namespace
  kubectl oomkill --shape leak --node worker-7    only those
  kubectl oomkill describe 1c066fec8d             one in full, by its id or its start
  kubectl oomkill why cart-7d9f4-x2x9z -n shop    why this pod's container was killed
  kubectl oomkill watch                           print kills as they happen
  kubectl oomkill -o json | jq .verdict           for programs, oldest first
"""
EXIT_STATUS = """\
exit status:
  0 done, 1 failed, or nodes are missing in the answer, 2 wrong usage, 3 no right to ask
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options, ``action`` (None: list) and ``what``. Raises `UsageError`."""
    parser = build_parser()
    args = parser.parse_intermixed_args(argv)
    args.action, args.what = _action(args.words)
    if args.action != WATCH:
        for option in ("interval", "count"):
            if getattr(args, option) is not None:
                raise UsageError(f"--{option}: only `{NAME} {WATCH}` has it")
    elif args.limit is not None:
        raise UsageError(f"--limit: `{NAME} {WATCH}` has --count")
    if args.everywhere and args.filter_namespace is not None:
        raise UsageError("--namespace and --all-namespaces: expected one of them")
    return args


def _action(words: Sequence[str]) -> tuple[str | None, str | None]:
    if not words:
        return None, None
    action, *rest = words
    if action not in ARGUMENTS:
        from difflib import get_close_matches

        near = get_close_matches(action, ARGUMENTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"see `{NAME} --help`"
        raise UsageError(f"{action}: expected {', '.join(ARGUMENTS)} or nothing: {hint}")
    wanted = ARGUMENTS[action]
    if len(rest) != bool(wanted):
        raise UsageError(f"expected `{NAME} {action} {wanted}".rstrip() + "`")
    return action, rest[0] if rest else None


def build_parser() -> Parser:
    """Return the parser of the program."""
    parser = Parser(
        prog=NAME,
        usage=f"{NAME} [OPTION]... [{DESCRIBE} ID | {WATCH} | {WHY} POD]",
        description=SUMMARY[0].upper() + SUMMARY[1:] + ".",
        epilog=f"{EXAMPLES}\n{EXIT_STATUS}",
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="COMMAND",
        help=f"{DESCRIBE} ID: show one incident in full; {WATCH}: print incidents as they happen; "
        f"{WHY} POD: how a pod's containers were last killed (default: list incidents)",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_argument(
        "--limit",
        type=_number,
        metavar="N",
        help=f"list the newest N, up to {LIMIT_MAX} (default: the newest 5 of each container)",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json", "logfmt"),
        default="text",
        help="human-readable text (default) or machine-readable, one line per incident",
    )
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="when to colour the text; auto (default): on a terminal",
    )
    _add_filters(parser)
    _add_watch(parser)
    _add_cluster(parser)
    return parser


def _add_filters(parser: Parser) -> None:
    group = add_filters(parser, tuple(name for name in HELP if name != "namespace"))
    group.add_argument(
        "-n",
        "--namespace",
        dest="filter_namespace",
        metavar="NAME",
        help="this namespace and no other, as everywhere in kubectl",
    )
    group.add_argument(
        "-A", "--all-namespaces", dest="everywhere", action="store_true", help="the default"
    )


def _add_watch(parser: Parser) -> None:
    group = parser.add_argument_group(WATCH)
    group.add_argument(
        "--interval", type=_seconds, metavar="SECONDS", help="from one look to the next (default 5)"
    )
    group.add_argument("--count", type=_number, metavar="N", help="exit after N incidents")


def _add_cluster(parser: Parser) -> None:
    group = parser.add_argument_group("cluster")
    group.add_argument("--context", metavar="NAME", help="the kubeconfig's context to use")
    group.add_argument(
        "--kubeconfig",
        metavar="FILE",
        help="how to reach the API (default: $KUBECONFIG, ~/.kube/config, or the pod's account)",
    )
    group.add_argument(
        "--request-timeout",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long to wait for a node (default 5); for all of them, four times as long",
    )
    group.add_argument(
        "--exporter-namespace",
        metavar="NAME",
        help="where the exporters are (default: any; without the right to list all pods, "
        "container-oomkill)",
    )
    group.add_argument(
        "-l",
        "--selector",
        metavar="LABELS",
        default="app.kubernetes.io/name=container-oomkill",
        help="which pods are exporters (default: app.kubernetes.io/name=container-oomkill)",
    )


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"kubectl-oomkill {__version__}")  # noqa: T201 - asked for
        parser.exit()


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _seconds(text: str) -> float:
    """As kubectl takes it: 5 or 5s."""
    seconds = float(text.removesuffix("s"))
    if not 0.1 <= seconds <= SECONDS_MAX:
        raise ValueError(text)
    return seconds


# argparse puts them into its messages
_number.__name__ = "whole number above 0"
_seconds.__name__ = "number of seconds from 0.1 to 300"
