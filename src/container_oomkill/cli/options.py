# SPDX-License-Identifier: Apache-2.0
"""The options of each command; those of several are spelled once.

Options about one subject are a group: ``--GROUP`` itself, where there is one, and ``--GROUP.NAME``.
The exporter's own are in `exporter.settings`, each beside its setting.
"""

from __future__ import annotations

import argparse
import os

from ..system import log
from ..system.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Mapping


class Command(Settings):
    """What `--help` says of a command, and which options it takes."""

    summary: str
    add_options: Callable[[ArgumentParser], None]
    examples: str = ""


FORMATS = ("text", "json", "logfmt")
HOOKS = ("fentry", "kprobe", "raw_tracepoint")
STATE_FOLDERS = {
    "docker": "`containers` in Docker's data root",
    "containerd": "`io.containerd.runtime.v2.task` in containerd's state folder",
    "crio": "`overlay-containers` in CRI-O's run root",
    "podman": "`overlay-containers` in Podman's graph root",
}
PROBE_EXAMPLES = """\
examples:
  container-oomkill probe                      print kills as they happen
  container-oomkill probe -o json >> kills     record; `replay kills` shows it again
  container-oomkill probe --count 1            wait for the next kill
"""


def _probe(parser: ArgumentParser) -> None:
    _add_output(parser)
    parser.add_argument("--count", type=_positive, metavar="N", help="stop after N incidents")
    _add_recording(parser)


def _exporter(parser: ArgumentParser) -> None:
    from ..exporter.settings import options  # takes long to import, and probe has no use for it

    options(parser)
    parser.add_argument(
        "--retry-attach",
        action="store_true",
        help="if no hook can be attached: stay, not ready, and try again (default: exit 3)",
    )
    _add_recording(parser)


def _doctor(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="human-readable (default) or machine-readable output",
    )
    _add_object(parser)
    _add_state(parser)
    _add_kubernetes(parser)


def _unpin(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="the one given to `--pin` (default: container-oomkill on the bpf file system)",
    )


def _add_as_recorded(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--as-recorded",
        action="store_true",
        help="show scope and verdict as recorded, not as this version concludes",
    )


def _replay(parser: ArgumentParser) -> None:
    _add_output(parser)
    _add_as_recorded(parser)
    parser.add_argument("file", metavar="FILE", help="recording; - for standard input")


def _show(parser: ArgumentParser) -> None:
    parser.add_argument(
        "id", metavar="ID", nargs="?", help="one incident; its first digits will do"
    )
    parser.add_argument(
        "--from", dest="recording", metavar="FILE", help="read a recording; - for standard input"
    )
    _add_as_recorded(parser)
    exporter = parser.add_argument_group("of a running exporter")
    exporter.add_argument(
        "--url", default="http://127.0.0.1:9262", help="its URL (default http://127.0.0.1:9262)"
    )
    for option, metavar, what in (
        ("user", "NAME", "user name, if it asks for one"),
        ("password-file", "FILE", "file with the user's password"),
        ("ca-file", "FILE", "CA of its certificate, PEM (default: the system's)"),
        ("cert-file", "FILE", "our client certificate, PEM"),
        ("key-file", "FILE", "its private key, PEM, without a password"),
    ):
        exporter.add_argument(f"--{option}", metavar=metavar, help=what)
    _add_colour(parser)


COMMANDS: Mapping[str, Command] = {
    "probe": Command(
        summary="attach, and print one record per incident",
        add_options=_probe,
        examples=PROBE_EXAMPLES,
    ),
    "exporter": Command(
        summary="attach, and serve metrics, incidents and health over HTTP", add_options=_exporter
    ),
    "doctor": Command(
        summary="say what this kernel, container and user allow, and what is missing",
        add_options=_doctor,
    ),
    "unpin": Command(
        summary="detach the hooks that `--pin` left in the kernel, and remove their pins",
        add_options=_unpin,
    ),
    "replay": Command(
        summary="print incidents recorded with `-o json` again, in any format", add_options=_replay
    ),
    "show": Command(
        summary="list the recorded incidents, or show one of them in full", add_options=_show
    ),
}


def _add_output(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=FORMATS,
        default="text",
        help="human-readable text (default), or machine-readable, one line per incident",
    )
    _add_colour(parser)


def _add_colour(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour the text: on a terminal (default), always, never",
    )


def _add_recording(parser: ArgumentParser) -> None:
    """Add what every command that attaches and records has."""
    parser.add_argument(
        "--hook", choices=HOOKS, help="use this one (default: the first one that attaches)"
    )
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
        "file system (default there: container-oomkill); `unpin` removes them",
    )
    parser.add_argument(
        "--oom-score-adj",
        type=_score,
        default=-999,
        metavar="N",
        help="set our own oom_score_adj, if permitted; it is never raised (default -999)",
    )
    parser.add_argument(
        "--keep-privileges",
        action="store_true",
        help="for debugging: keep the capabilities and system calls that only attaching needs",
    )
    parser.add_argument(
        "--cmdline",
        action="store_true",
        help="record the victims' command lines as well; they may contain secrets",
    )
    parser.add_argument("--node", metavar="NAME", help="the node's name (default: its host name)")
    parser.add_argument("--verbose", action="store_true", help="keep libbpf's debug log for errors")
    _add_object(parser)
    _add_state(parser)
    _add_kubernetes(parser).add_argument(
        "--kubernetes.events",
        dest="kubernetes_events",
        action="store_true",
        help="write an Event on the victim's pod",
    )


def _add_state(parser: ArgumentParser) -> None:
    state = parser.add_argument_group("container names")
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
        help="also ask Docker or Podman, in the background; access to that socket is as good as "
        "root",
    )


def _add_kubernetes(parser: ArgumentParser) -> argparse._ArgumentGroup:
    cluster = parser.add_argument_group(
        "Kubernetes", "Needs the extra container-oomkill[kubernetes]."
    )
    cluster.add_argument(
        "--kubernetes",
        action="store_true",
        help="ask the API for this node's pods: names and workloads",
    )
    cluster.add_argument(
        "--kubernetes.node",
        dest="kubernetes_node",
        default=os.environ.get("NODE_NAME"),
        metavar="NAME",
        help="this node's name in the cluster (default: NODE_NAME of the environment)",
    )
    cluster.add_argument(
        "--kubeconfig", metavar="FILE", help="how to reach the API from outside a cluster"
    )
    return cluster


def _add_object(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--btf", metavar="FILE", help="the kernel's types (BTF), if the kernel does not expose them"
    )
    parser.add_argument("--object", metavar="FILE", help="another build of the BPF object")


def add_log(parser: ArgumentParser) -> None:
    """Add what every command has: how it logs."""
    group = parser.add_argument_group("log (standard error)")
    group.add_argument(
        "--log.format",
        dest="log_format",
        choices=log.FORMATS,
        default="text",
        help="text (default) or json: one object per line, as other Prometheus exporters write it",
    )
    group.add_argument(
        "--log.level",
        dest="log_level",
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
