# SPDX-License-Identifier: Apache-2.0
"""The options of each command; shared ones are defined once.

Options about one subject form a group: ``--GROUP`` itself, where there is one, and
``--GROUP.NAME``. The exporter's own options are in `exporter.settings`, each beside its setting.
"""

from __future__ import annotations

import os

from ..recorder.settings import MAX_CGROUPS
from ..system import log
from ..system.settings import Settings
from .filters import HELP, OF_THE_FUTURE, add_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, _ArgumentGroup
    from collections.abc import Callable, Mapping


class Command(Settings):
    """What `--help` says of a command, and which options it takes."""

    summary: str
    add_options: Callable[[ArgumentParser], None]
    examples: str = ""
    arguments: str = ""  # what is no option


FORMATS = ("text", "json", "logfmt")
HOOKS = ("fentry", "kprobe", "raw_tracepoint")
STATE_FOLDERS = {
    "docker": "`containers` in Docker's data root",
    "containerd": "`io.containerd.runtime.v2.task` in containerd's state folder",
    "crio": "`overlay-containers` in CRI-O's run root",
    "podman": "`overlay-containers` in Podman's graph root",
}
EXAMPLES = """\
examples:
  container-oomkill demo       what it tells, by kills recorded elsewhere; needs no privileges
  container-oomkill doctor     whether it can record on this machine, and what is missing
  container-oomkill probe      print kills as they happen
  container-oomkill exporter   serve pages for people and metrics for Prometheus, on port 9262
  container-oomkill show       what the exporter that runs here has recorded

exit status:
  0 done, 1 failed while running, 2 wrong usage, 3 this kernel or these privileges cannot run it
"""
PROBE_EXAMPLES = """\
examples:
  container-oomkill probe                      print kills as they happen
  container-oomkill probe -o json >> kills     record; `replay kills` shows it again
  container-oomkill probe --count 1            wait for the next kill
"""


SHOW_EXAMPLES = """\
examples:
  container-oomkill show                              of the exporter that runs here
  container-oomkill show 1c066fec8d                   one incident in full, by its id or its start
  container-oomkill show --namespace shop --since 1h  only those
  container-oomkill show --from kills                 of a recording or a history file
  container-oomkill show -o json | jq .verdict        for programs, oldest first
"""
MCP_EXAMPLES = """\
examples:
  container-oomkill mcp               of the exporter that runs here
  container-oomkill mcp --from kills  of a recording or a history file
"""
WHY_EXAMPLES = """\
examples:
  container-oomkill why cart                   of the exporter that runs here
  container-oomkill why shop/cart-7d9f4/app    namespace, pod and container
  container-oomkill why cart --from kills      of a recording or a history file
"""
SYMBOLIZE_EXAMPLES = """\
examples:
  container-oomkill symbolize kills                 of a recording made with `--stacks`
  container-oomkill symbolize kills --debug ./app   with a program, a debug file or a folder of them
"""
DEMO_EXAMPLES = """\
examples:
  container-oomkill demo                   list them
  container-oomkill demo 1205              one in full, by its id or its start
  container-oomkill demo --scope pod       only those
  container-oomkill demo -o json > kills   as a recording, for `replay`, `show --from` and jq
"""


def _probe(parser: ArgumentParser) -> None:
    _add_output(parser)
    parser.add_argument(
        "--count", type=_positive, metavar="N", help="exit after printing N incidents"
    )
    add_filters(parser, OF_THE_FUTURE)
    _add_recording(parser)


def _exporter(parser: ArgumentParser) -> None:
    from ..exporter.settings import options

    options(parser)
    parser.add_argument(
        "--retry-attach",
        action="store_true",
        help="if no hook can be attached, keep running, not ready, and retry (default: exit 3)",
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
        help="the directory given to `--pin` (default: /sys/fs/bpf/container-oomkill)",
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
    parser.add_argument("file", metavar="FILE", help="a recording; - for standard input")


def _symbolize(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording; - for standard input")
    parser.add_argument(
        "--debug",
        action="append",
        default=[],
        metavar="PATH",
        help="a program, library or debug file, or a folder of them by build id, to look in first; "
        "may be repeated (then: /usr/lib/debug/.build-id and debuginfod's cache)",
    )


def _show(parser: ArgumentParser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?",
        help="show this incident in full; the first digits of its id are enough",
    )
    _add_recording_file(parser)
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help="list the newest N, up to 1000 (default: the newest 5 of each container)",
    )
    _add_output(parser)
    add_filters(parser, tuple(HELP))
    _add_exporter(parser)


def _mcp(parser: ArgumentParser) -> None:
    _add_recording_file(parser)
    add_filters(parser, tuple(HELP))
    _add_exporter(parser)
    parser.set_defaults(id=None, limit=None, output="json", color="never")


def _why(parser: ArgumentParser) -> None:
    parser.add_argument(
        "container",
        metavar="CONTAINER",
        help="its name, POD/NAME, NAMESPACE/POD/NAME, or the first digits of its id",
    )
    parser.add_argument(
        "--from",
        dest="recording",
        metavar="FILE",
        help="read a recording or a history file, with FILE.kills and FILE.stuck beside it; - for "
        "standard input",
    )
    _add_colour(parser)
    add_filters(parser, ("namespace", "pod", "node", "since", "until"))
    _add_exporter(parser)


def _add_recording_file(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="recording",
        metavar="FILE",
        help="read a recording or a history file; - for standard input",
    )
    _add_as_recorded(parser)


def _add_exporter(parser: ArgumentParser) -> None:
    exporter = parser.add_argument_group("running exporter")
    exporter.add_argument(
        "--url",
        help="URL of the exporter: http://HOST:PORT, https://HOST:PORT or unix:/PATH (default: the "
        "one that runs here, else http://127.0.0.1:9262)",
    )
    for option, metavar, what in (
        ("user", "NAME", "user name, if the exporter requires one"),
        ("password-file", "FILE", "file that contains the password"),
        (
            "ca-file",
            "FILE",
            "CA that signed the exporter's certificate, PEM (default: the system's CAs)",
        ),
        ("cert-file", "FILE", "client certificate, PEM"),
        ("key-file", "FILE", "private key of the client certificate, PEM, unencrypted"),
    ):
        exporter.add_argument(f"--{option}", metavar=metavar, help=what)


def _demo(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="show this incident in full")
    _add_output(parser)
    add_filters(parser, OF_THE_FUTURE)


def _schema(_: ArgumentParser) -> None:
    """It has none."""


def _explain(parser: ArgumentParser) -> None:
    parser.add_argument(
        "topic", metavar="TOPIC", nargs="?", help="as `show` names it (default: list the topics)"
    )


COMMANDS: Mapping[str, Command] = {
    "probe": Command(
        summary="attach and print one record per incident",
        add_options=_probe,
        examples=PROBE_EXAMPLES,
    ),
    "exporter": Command(
        summary="attach and serve metrics, incidents and health over HTTP", add_options=_exporter
    ),
    "doctor": Command(
        summary="show what this kernel, container and user allow, and what is missing",
        add_options=_doctor,
    ),
    "unpin": Command(
        summary="detach the hooks that `--pin` left in the kernel and remove their pins",
        add_options=_unpin,
        arguments="[DIR]",
    ),
    "replay": Command(
        summary="print incidents recorded with `-o json` again, in any format",
        add_options=_replay,
        arguments="FILE",
    ),
    "symbolize": Command(
        summary="name the functions that asked for memory, in a recording made with `--stacks`",
        add_options=_symbolize,
        examples=SYMBOLIZE_EXAMPLES,
        arguments="FILE",
    ),
    "show": Command(
        summary="list recorded incidents, or show one in full",
        add_options=_show,
        examples=SHOW_EXAMPLES,
        arguments="[ID]",
    ),
    "why": Command(
        summary="say how a container last ended by SIGKILL, whoever sent it",
        add_options=_why,
        examples=WHY_EXAMPLES,
        arguments="CONTAINER",
    ),
    "explain": Command(
        summary="say what a part of a verdict means, and what to do about it",
        add_options=_explain,
        arguments="[TOPIC]",
    ),
    "mcp": Command(
        summary="serve the incidents to an agent, by the Model Context Protocol on standard input "
        "and output",
        add_options=_mcp,
        examples=MCP_EXAMPLES,
    ),
    "schema": Command(summary="print the JSON Schema of the records", add_options=_schema),
    "demo": Command(
        summary="show real incidents that come with the package; needs no privileges",
        add_options=_demo,
        examples=DEMO_EXAMPLES,
        arguments="[ID]",
    ),
}


def _add_output(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=FORMATS,
        default="text",
        help="human-readable text (default) or machine-readable, one line per incident",
    )
    _add_colour(parser)


def _add_colour(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="when to colour the text; auto (default): on a terminal",
    )


def _add_recording(parser: ArgumentParser) -> None:
    """Add what every command that attaches and records has."""
    parser.add_argument(
        "--hook", choices=HOOKS, help="use this hook only (default: the first one that attaches)"
    )
    parser.add_argument(
        "--ring-bytes",
        type=_power_of_two,
        default=1 << 20,
        metavar="N",
        help="size of the ring buffer, a power of two (default 1048576, about 240 kills)",
    )
    parser.add_argument(
        "--pin",
        nargs="?",
        const="",
        metavar="DIR",
        help="keep hooks and records in the kernel while no process runs, pinned in this directory "
        "of a bpf file system (default: /sys/fs/bpf/container-oomkill); `unpin` removes them",
    )
    parser.add_argument(
        "--oom-score-adj",
        type=_score,
        default=-999,
        metavar="N",
        help="lower our own oom_score_adj to this, if permitted (default -999)",
    )
    parser.add_argument(
        "--keep-privileges",
        action="store_true",
        help="for debugging: do not drop privileges after attaching",
    )
    parser.add_argument(
        "--cmdline",
        action="store_true",
        help="also record the victims' command lines, which may contain secrets",
    )
    parser.add_argument(
        "--stacks",
        action="store_true",
        help="also record where in its own program the task was that asked for memory, as build "
        "ids and offsets; `symbolize` names the functions",
    )
    parser.add_argument(
        "--node", metavar="NAME", help="name of this node in records (default: its host name)"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="include libbpf's debug log in errors"
    )
    parser.add_argument(
        "--killers",
        choices=("on", "off"),
        default="on",
        help="also record who else kills a container's processes by SIGKILL (default on)",
    )
    _add_recorder(parser)
    _add_object(parser)
    _add_state(parser)
    _add_kubernetes(parser).add_argument(
        "--kubernetes.events",
        dest="kubernetes_events",
        action="store_true",
        help="write an Event on each victim's pod, and on the node where its memory ran out",
    )


def _add_recorder(parser: ArgumentParser) -> None:
    recorder = parser.add_argument_group(
        "flight recorder", "What memory did before a kill, recorded in the kernel (5.15 or newer)."
    )
    recorder.add_argument(
        "--recorder.max-cgroups",
        dest="recorder_max_cgroups",
        type=_cgroups,
        default=MAX_CGROUPS,
        metavar="N",
        help=f"cgroups recorded at most, 1 KiB of kernel memory each (default {MAX_CGROUPS}); "
        "0: no flight recorder",
    )
    recorder.add_argument(
        "--recorder.interval",
        dest="recorder_interval",
        type=_interval,
        default=1.0,
        metavar="SECONDS",
        help="from one sample to the next, 0.01 to 60 (default 1)",
    )
    recorder.add_argument(
        "--recorder.sampler",
        dest="recorder_sampler",
        action="store_true",
        help="where the kernel refuses it (before 5.15, or PREEMPT_RT), read the cgroups' files "
        "instead: a wake-up each interval, and some 10 us for each cgroup",
    )


def _add_state(parser: ArgumentParser) -> None:
    state = parser.add_argument_group("container names")
    state.add_argument(
        "--host-root",
        default="",
        metavar="DIR",
        help="where the host's /run, /var/lib and /etc/passwd are mounted; read only",
    )
    for runtime, what in STATE_FOLDERS.items():
        state.add_argument(
            f"--state.{runtime}",
            dest=f"state_{runtime}",
            action="append",
            metavar="DIR",
            help=f"{what}, as mounted here; repeatable (default: the usual places)",
        )
    state.add_argument(
        "--state.docker-socket",
        dest="state_docker_socket",
        metavar="PATH",
        help="also ask Docker or Podman for names, in the background; access to this socket is as "
        "good as root",
    )


def _add_kubernetes(parser: ArgumentParser) -> _ArgumentGroup:
    cluster = parser.add_argument_group(
        "Kubernetes", "Requires the extra container-oomkill[kubernetes]."
    )
    cluster.add_argument(
        "--kubernetes",
        action="store_true",
        help="get names and workloads of this node's pods from the API",
    )
    cluster.add_argument(
        "--kubernetes.node",
        dest="kubernetes_node",
        default=os.environ.get("NODE_NAME"),
        metavar="NAME",
        help="this node's name in the cluster (default: $NODE_NAME)",
    )
    cluster.add_argument(
        "--kubeconfig", metavar="FILE", help="how to reach the API from outside the cluster"
    )
    return cluster


def _add_object(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--btf",
        metavar="FILE",
        help="type information (BTF) of this kernel, if it does not expose its own",
    )
    parser.add_argument("--object", metavar="FILE", help="use another build of the BPF object")


def add_log(parser: ArgumentParser) -> None:
    """Add what every command has: how it logs."""
    group = parser.add_argument_group("logging (standard error)")
    group.add_argument(
        "--log.format",
        dest="log_format",
        choices=log.FORMATS,
        default="text",
        help="text (default) or json: one object per line, with the fields other Prometheus "
        "exporters use",
    )
    group.add_argument(
        "--log.level",
        dest="log_level",
        choices=log.LEVELS,
        default="info",
        help="lowest level to log (default info)",
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


def _cgroups(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65536:
        raise ValueError(text)
    return number


def _interval(text: str) -> float:
    seconds = float(text)
    if not 0.01 <= seconds <= 60:
        raise ValueError(text)
    return seconds


def _power_of_two(text: str) -> int:
    number = int(text)
    if not 16384 <= number <= 1 << 30 or number & (number - 1):
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text} is not a power of two from 16384 to 1073741824")
    return number


# argparse puts them into its messages
_positive.__name__ = "whole number above 0"
_score.__name__ = "number from -1000 to 1000"
_cgroups.__name__ = "number from 0 to 65536"
_interval.__name__ = "number from 0.01 to 60"
_power_of_two.__name__ = "power of two"
