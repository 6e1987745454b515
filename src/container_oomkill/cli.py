# SPDX-License-Identifier: Apache-2.0
"""Takes the command line and the environment, gives a command run and its exit status.

0 done, 1 a stage failed while running, 2 wrong usage, 3 this kernel or these privileges cannot
run it. Modules that attaching does not need are imported after attaching.
"""

from __future__ import annotations

import os
import sys

from . import standard_streams
from .arguments import parse
from .errors import Error, StuckError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from .identity.state import Source
    from .identity.watch import Watcher
    from .pins import Pins
    from .probe import Probe


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an `Error` is one line on stderr and its exit status."""
    try:
        standard_streams.prepare()
        args = parse(sys.argv[1:] if argv is None else argv)
        return COMMANDS[args.command](args)
    except BrokenPipeError:
        standard_streams.abandon_stdout()  # whoever read it has enough
        return 0
    except KeyboardInterrupt:
        return 0
    except Error as error:
        if isinstance(error, StuckError):
            standard_streams.abandon_stdout()
        return _complain(error, error.exit_status)
    except OSError as error:
        standard_streams.abandon_stdout()
        words = f"write to standard output: {error.strerror}" if not error.filename else str(error)
        return _complain(Error(words.lower()), 1)


def _complain(error: Exception, status: int) -> int:
    print(f"container-oomkill: {error}", file=sys.stderr)  # noqa: T201 - the user's line
    return status


def probe(args: Namespace) -> int:
    """Attach, print one record per incident until interrupted or ``--count`` are out."""
    with _pins(args) as pins, _attached(args, pins) as attached:
        from . import confine
        from .identity import Resolver
        from .kernel_kills import kills_by_cgroup
        from .pipeline import Pipeline
        from .sinks import open_sink
        from .stop import Stop

        stop = Stop()
        stop.on_signals()
        stop.on_hang_up(sys.stdout.fileno())
        attached.enter_earlier_kills(kills_by_cgroup())
        if not args.keep_rights:
            confine.process()
        print(f"attached by {attached.hook}", file=sys.stderr)  # noqa: T201 - not a record
        with _names(args) as names:
            sink = open_sink(args.output, sys.stdout, colour=args.color)
            resolve = Resolver(names).resolve
            pipeline = Pipeline(attached, [sink], node=args.node, resolve=resolve)
            pipeline.run(stop, count=args.count)
    return 0


def exporter(args: Namespace) -> int:
    """Attach, serve what is recorded until interrupted."""
    from .exporter_settings import ExporterSettings

    settings = ExporterSettings.from_args(args)
    with _pins(args) as pins, _attached(args, pins) as attached:
        from contextlib import ExitStack

        from . import __version__, confine
        from .exporter import Exporter
        from .identity import Resolver
        from .kernel_kills import kills_by_cgroup
        from .pipeline import Pipeline
        from .sinks import json_lines, open_sink
        from .sinks.queued import Queued
        from .stop import Stop

        stop = Stop()
        stop.on_signals()
        earlier = list(kills_by_cgroup())
        attached.enter_earlier_kills(earlier)
        with (
            ExitStack() as closing,
            Exporter(
                settings,
                attached,
                version=__version__,
                render=json_lines.render,
                kernel_kills_before=attached.kills_before,
            ) as serving,
        ):
            if args.keep_rights:
                serving.start()
            else:
                serving.start(bound=confine.process, in_thread=confine.this_thread)
            names = closing.enter_context(_names(args))
            serving.follow(names.store)
            serving.earlier(((path, kills) for path, _, kills in earlier), Resolver(names))
            slow: list[Queued] = []
            if settings.log_incidents != "off":
                written = open_sink(settings.log_incidents, sys.stdout)
                slow.append(Queued(written, lambda: serving.lost("log"), size=settings.log_queue))
                serving.log_to(slow[0].depth)
                closing.callback(slow[0].close)
            pipeline = Pipeline(
                attached,
                [serving.sink, *slow],
                slow=slow,
                node=args.node,
                resolve=Resolver(names).resolve,
                on_lost=serving.lost,
            )
            for address in serving.addresses:
                words = f"attached by {attached.hook}, serving on {address}"
                print(words, file=sys.stderr)  # noqa: T201 - not a record
            serving.ready(True)
            pipeline.run(stop, beat=serving.beat, beat_seconds=serving.beat_seconds)
            serving.ready(False)
    return 0


def _pins(args: Namespace) -> AbstractContextManager[Pins | None]:
    if args.pin is None:
        from contextlib import nullcontext

        return nullcontext()
    from .pins import Pins

    return Pins(args.pin or None)


def _attached(args: Namespace, pins: Pins | None) -> Probe:
    from .confine import spare_from_oom
    from .object_file import read_object
    from .probe import attach

    spare_from_oom(args.oom_score_adj)
    return attach(
        read_object(args.object),
        hook=args.hook,
        btf=args.btf,
        ring_bytes=args.ring_bytes,
        debug=args.verbose,
        pins=pins,
    )


def _names(args: Namespace) -> Watcher:
    """Learn the containers' names from now on; only after attaching."""
    from .identity.watch import Watcher

    return Watcher(_sources(args))


def _sources(args: Namespace) -> list[Source]:
    from .identity.sources import default_sources

    return default_sources(
        root=args.host_root,
        docker_folders=args.state_docker,
        containerd_folders=args.state_containerd,
        crio_folders=args.state_crio,
        podman_folders=args.state_podman,
    )


def doctor(args: Namespace) -> int:
    """Say what this kernel, container and user allow; 3 when no probe can attach."""
    from .doctor import examine, print_json, print_text

    report = examine(object_path=args.object, btf=args.btf, sources=_sources(args))
    (print_json if args.output == "json" else print_text)(report, sys.stdout)
    return 0 if report.can_attach else 3


def unpin(args: Namespace) -> int:
    """Detach and remove what ``--pin`` left in the kernel."""
    from .pins import Pins, default_folder

    folder = args.folder or default_folder()
    if not os.path.isdir(folder):
        print(f"nothing is pinned in {folder}")  # noqa: T201 - the answer
        return 0
    with Pins(folder) as pins:
        for name, records in pins.remove():
            were = "record that was" if records == 1 else "records that were"
            kept = f", and {records} {were} not delivered" if records else ""
            print(f"removed {folder}/{name}{kept}")  # noqa: T201 - the answer
    return 0


def replay(args: Namespace) -> int:
    """Print the incidents of a recording again, in any format."""
    from .recording import replay as replay_recording
    from .sinks import open_sink

    replay_recording(args.file, open_sink(args.output, sys.stdout, colour=args.color))
    return 0


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "probe": probe,
    "exporter": exporter,
    "doctor": doctor,
    "unpin": unpin,
    "replay": replay,
}
