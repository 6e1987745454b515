# SPDX-License-Identifier: Apache-2.0
"""Takes argv and the environment, gives the settings of one command.

Every option can come from the environment: ``--ring-bytes`` as CONTAINER_OOMKILL_RING_BYTES, a dot
as an underscore too, several values with commas. The command line wins.
"""

from __future__ import annotations

import argparse
import os
import re

from ..errors import UsageError
from ..system import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

PREFIX = "CONTAINER_OOMKILL_"
FORMATS = ("text", "json", "logfmt")
HOOKS = ("fentry", "kprobe", "raw_tracepoint")
TRUE = ("1", "true", "yes", "on")
FALSE = ("", "0", "false", "no", "off")

STATE_FOLDERS = {
    "docker": "`containers` in Docker's data root",
    "containerd": "`io.containerd.runtime.v2.task` in containerd's state folder",
    "crio": "`overlay-containers` in CRI-O's run root",
    "podman": "`overlay-containers` in Podman's graph root",
}

PROBE_EXAMPLES = """\
examples:
  container-oomkill probe                      watch, for eyes
  container-oomkill probe -o json >> kills     record; `replay kills` shows it again
  container-oomkill probe --count 1            wait for the next kill
"""


class Parser(argparse.ArgumentParser):
    """Raises instead of printing its usage: an error is one line, with where to read on."""

    variables: Mapping[str, str] = {}  # option -> the variable it was taken from

    def error(self, message: str) -> NoReturn:
        # `NAME.__name__` of a function that reads a value says what was expected.
        message = re.sub(r"invalid (.+) value: (.*)", r"expected a \1, found \2", message)
        raise UsageError(as_given(f"{message}: see `{self.prog} --help`", self.variables))


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


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> argparse.Namespace:
    """Return the chosen ``command`` and its options; `UsageError` for what makes no sense.

    ``variables``, one of the options, is for `as_given`.
    """
    chosen = argv[0] if argv else ""
    parser, command = build_parser(chosen)
    variables: dict[str, str] = {}
    if command is not None:
        given = _from_environment(command, environ, argv, variables)
        command.variables = variables
        argv = [chosen, *given, *argv[1:]]
    return parser.parse_args(argv, argparse.Namespace(variables=variables))


def log_options(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return what `log.configure` takes, wherever in ``argv`` it stands and whatever else is wrong.

    What makes no sense is left to `parse`, which says so.
    """
    parser = Parser(
        add_help=False, allow_abbrev=False, exit_on_error=False, formatter_class=Formatter
    )
    _add_log(parser)
    try:
        given = _from_environment(parser, environ, argv, {})
        args, _ = parser.parse_known_args([*given, *argv])
    except (argparse.ArgumentError, UsageError):
        return {}
    return {"form": args.log_format, "level": args.log_level}


def as_given(message: str, variables: Mapping[str, str]) -> str:
    """Return a message that names an option with the variable in its place, if it came from one."""
    for option, variable in variables.items():
        message = re.sub(rf"(argument )?(-\w/)?{re.escape(option)}(?![\w.-])", variable, message)
    return message


def build_parser(chosen: str) -> tuple[Parser, Parser | None]:
    """Return the parser, and that of the chosen command: the only one that gets its options."""
    parser = Parser(
        prog="container-oomkill",
        description="Records every kill by the kernel's OOM killer: which container, which limit, "
        "what the memory was, and why.",
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the versions and exit")
    added = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog=parser.prog
    )
    commands = {
        name: added.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=PROBE_EXAMPLES if name == "probe" else None,
            allow_abbrev=False,
            formatter_class=Formatter,
        )
        for name, (summary, _) in COMMANDS.items()
    }
    if chosen not in commands:
        return parser, None
    COMMANDS[chosen][1](commands[chosen])
    _add_log(commands[chosen])
    return parser, commands[chosen]


def _probe(parser: Parser) -> None:
    _add_output(parser)
    parser.add_argument("--count", type=_positive, metavar="N", help="stop after N incidents")
    _add_hooks(parser)
    _add_state(parser)
    _add_kubernetes(parser)
    _add_events(parser)


def _exporter(parser: Parser) -> None:
    from ..exporter.settings import options  # takes long to import, and probe has no use for it

    options(parser)
    _add_hooks(parser)
    _add_state(parser)
    _add_kubernetes(parser)
    _add_events(parser)


def _doctor(parser: Parser) -> None:
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="for eyes, or for programs"
    )
    _add_object(parser)
    _add_state(parser)
    _add_kubernetes(parser)


def _unpin(parser: Parser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="as `--pin` had it (default: container-oomkill on the bpf file system)",
    )


def _replay(parser: Parser) -> None:
    _add_output(parser)
    parser.add_argument("file", metavar="FILE", help="recording; - for standard input")


def _show(parser: Parser) -> None:
    parser.add_argument(
        "id", metavar="ID", nargs="?", help="one incident; its first digits will do"
    )
    parser.add_argument(
        "--from", dest="recording", metavar="FILE", help="of a recording; - for standard input"
    )
    exporter = parser.add_argument_group("of a running exporter")
    exporter.add_argument(
        "--url",
        default="http://127.0.0.1:9262",
        help="where it is (default http://127.0.0.1:9262)",
    )
    for option, metavar, what in (
        ("user", "NAME", "its user, where it asks for one"),
        ("password-file", "FILE", "with the user's password"),
        ("ca-file", "FILE", "CA of its certificate, PEM (default: the system's)"),
        ("cert-file", "FILE", "certificate to show to it, PEM"),
        ("key-file", "FILE", "its private key, PEM, without a password"),
    ):
        exporter.add_argument(f"--{option}", metavar=metavar, help=what)
    _add_colour(parser)


COMMANDS: Mapping[str, tuple[str, Callable[[Parser], None]]] = {
    "probe": ("attach, and print one record per incident", _probe),
    "exporter": ("attach, and serve metrics, incidents and health over HTTP", _exporter),
    "doctor": ("say what this kernel, container and user allow, and what is missing", _doctor),
    "unpin": ("detach the hooks that `--pin` left in the kernel, and remove their pins", _unpin),
    "replay": ("print incidents recorded with `-o json` again, in any format", _replay),
    "show": ("show the incidents there were, or all there is to see of one", _show),
}


def _add_output(parser: Parser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=FORMATS,
        default="text",
        help="text for eyes (default), json or logfmt one line per incident",
    )
    _add_colour(parser)


def _add_colour(parser: Parser) -> None:
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour the text: on a terminal (default), always, never",
    )


def _add_hooks(parser: Parser) -> None:
    parser.add_argument("--hook", choices=HOOKS, help="use this one; default: the first that works")
    parser.add_argument(
        "--ring-bytes",
        type=_power_of_two,
        default=1 << 20,
        metavar="N",
        help="size of the ring buffer, a power of two (default 1048576: some 600 kills)",
    )
    parser.add_argument(
        "--pin",
        nargs="?",
        const="",
        metavar="DIR",
        help="keep hooks and records in the kernel while no process runs, under this name on a bpf "
        "file system (default there: container-oomkill); `unpin` ends it",
    )
    parser.add_argument(
        "--oom-score-adj",
        type=_score,
        default=-999,
        metavar="N",
        help="lower our own oom_score_adj to this, where we may (default -999)",
    )
    parser.add_argument(
        "--keep-privileges",
        action="store_true",
        help="for debugging: keep capabilities and system calls that only attaching needs",
    )
    parser.add_argument(
        "--cmdline",
        action="store_true",
        help="record the victims' command lines as well; they may hold secrets",
    )
    parser.add_argument("--node", metavar="NAME", help="the node's name (default: its host name)")
    parser.add_argument("--verbose", action="store_true", help="keep libbpf's debug log for errors")
    _add_object(parser)


def _add_state(parser: Parser) -> None:
    state = parser.add_argument_group("containers' names")
    state.add_argument(
        "--host-root",
        default="",
        metavar="DIR",
        help="where the host's /run, /var/lib and /etc/passwd are mounted, read-only",
    )
    for runtime, what in STATE_FOLDERS.items():
        state.add_argument(
            f"--state.{runtime}",
            dest=f"state_{runtime}",
            action="append",
            metavar="DIR",
            help=f"{what}; as mounted here, repeatable (default: the usual ones)",
        )
    state.add_argument(
        "--state.docker-socket",
        dest="state_docker_socket",
        metavar="PATH",
        help="also ask Docker or Podman in the background; that socket is as good as root",
    )


def _add_kubernetes(parser: Parser) -> None:
    cluster = parser.add_argument_group("Kubernetes (the extra container-oomkill[kubernetes])")
    cluster.add_argument(
        "--kubernetes", action="store_true", help="ask the API for this node's pods: workloads too"
    )
    cluster.add_argument(
        "--kubernetes-node",
        default=os.environ.get("NODE_NAME"),
        metavar="NAME",
        help="this node, as the cluster calls it (default: NODE_NAME of the environment)",
    )
    cluster.add_argument(
        "--kubeconfig", metavar="FILE", help="how to reach the API from outside a cluster"
    )


def _add_events(parser: Parser) -> None:
    parser.add_argument(
        "--kubernetes-events",
        action="store_true",
        help="write an Event on the victim's pod (needs the extra container-oomkill[kubernetes])",
    )


def _add_object(parser: Parser) -> None:
    parser.add_argument(
        "--btf", metavar="FILE", help="the kernel's types, where the kernel has none itself"
    )
    parser.add_argument("--object", metavar="FILE", help="another build of the BPF object")


def _add_log(parser: Parser) -> None:
    group = parser.add_argument_group("log (standard error)")
    group.add_argument(
        "--log-format",
        choices=log.FORMATS,
        default="text",
        help="text (default) or json: one object per line, as other Prometheus exporters write it",
    )
    group.add_argument(
        "--log-level",
        choices=log.LEVELS,
        default="info",
        help="write nothing less severe than this (default info)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _score(text: str) -> int:
    number = int(text)
    if not -1000 <= number <= 1000:
        raise ValueError(text)
    return number


def _power_of_two(text: str) -> int:
    number = int(text)
    if not 16384 <= number <= 1 << 30 or number & (number - 1):
        raise argparse.ArgumentTypeError(f"{text} is no power of two from 16384 to 1073741824")
    return number


# argparse puts them into its messages
_positive.__name__ = "whole number above 0"
_score.__name__ = "number from -1000 to 1000"
_power_of_two.__name__ = "power of two"


class Version(argparse.Action):
    """Prints what runs here; asks libbpf only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from .. import __version__, libbpf

        print(f"container-oomkill {__version__}, libbpf {libbpf.version()}")  # noqa: T201 - asked for
        parser.exit()


def _from_environment(
    parser: Parser, environ: Mapping[str, str], argv: Sequence[str], variables: dict[str, str]
) -> list[str]:
    """Return the options that the environment sets and ``argv`` does not; note its variables."""
    given = []
    for action in parser._actions:
        option = next((o for o in action.option_strings if o.startswith("--")), None)
        if option is None or option == "--help":
            continue
        name = PREFIX + option[2:].replace("-", "_").replace(".", "_").upper()
        if (value := environ.get(name)) is None:
            continue
        if any(each.partition("=")[0] in action.option_strings for each in argv):
            continue  # would be one more, where an option is repeatable
        variables[option] = name
        switched = value.lower() in TRUE + FALSE
        if action.nargs == 0 or (action.nargs == "?" and switched):
            if not switched:
                raise UsageError(f"{name}={value}: expected true or false")
            given += [option] if value.lower() in TRUE else []
        elif isinstance(action, argparse._AppendAction):
            given += [f"{option}={each.strip()}" for each in value.split(",") if each.strip()]
        else:
            given.append(f"{option}={value}")
    return given
