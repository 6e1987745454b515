# SPDX-License-Identifier: Apache-2.0
"""Takes the command line and the environment, gives a command run and its exit status.

0 done, 1 a stage failed while running, 2 wrong usage, 3 this kernel or these privileges cannot
run it. Modules that attaching does not need are imported after attaching.
"""

from __future__ import annotations

import os
import sys
import time

from ..errors import Error, StuckError, UsageError
from ..system import log, standard_streams
from .options import as_given, log_options, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from ..exporter.settings import ExporterSettings
    from ..identity.discovery import ContainerDiscovery
    from ..identity.runtimes.state import RuntimeState
    from ..incident.model import Incident
    from ..probe.pins import Pins
    from ..probe.probe import Probe
    from ..system.shutdown import ShutdownRequest


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an `Error` is one line on stderr and its exit status."""
    try:
        standard_streams.prepare()
        argv = sys.argv[1:] if argv is None else argv
        log.configure(**log_options(argv))  # first: what is wrong with the others is logged
        try:
            args = parse(argv)
        except SystemExit:  # help or version was asked for, and is printed
            args = None
        status = 0 if args is None else _run(args)
        sys.stdout.flush()  # or Python finds at its end that the disk is full, and says it its way
        return status
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
        about = error.filename or "write to standard output"
        return _complain(Error(f"{about}: {(error.strerror or str(error)).lower()}"), 1)


def _run(args: Namespace) -> int:
    try:
        return COMMANDS[args.command](args)
    except UsageError as error:
        raise UsageError(as_given(str(error), args.variables)) from error


def _complain(error: Exception, status: int) -> int:
    log.error(str(error))
    return status


def _say_not_told(incidents: int) -> None:
    log.warn(f"{incidents} incidents had no Kubernetes Event: it could not be written")


def probe(args: Namespace) -> int:
    """Attach, print one record per incident until interrupted or ``--count`` are out."""
    with _attached(args) as attached:
        from ..identity.resolver import Resolver
        from ..pipeline.pipeline import Pipeline
        from ..probe.kernel_counts import kills_by_cgroup
        from ..sinks.formats import open_sink
        from ..system import privileges
        from ..system.shutdown import ShutdownRequest
        from .metadata_providers import Background

        stop = ShutdownRequest()
        stop.on_signals()
        stop.on_hang_up(sys.stdout.fileno())
        attached.enter_earlier_kills(kills_by_cgroup())
        if not args.keep_privileges:
            privileges.drop_process()
        log.info(f"attached by {attached.hook}")
        with _names(args) as names, Background(args, _say_not_told) as background:
            sinks = [open_sink(args.output, sys.stdout, colour=args.color), *background.sinks]
            resolve = Resolver(names, background.asked).resolve
            pipeline = Pipeline(
                attached, sinks, node=args.node, complete=_complete(args), resolve=resolve
            )
            pipeline.run(stop, count=args.count)
    return 0


def exporter(args: Namespace) -> int:
    """Attach, serve what is recorded until interrupted."""
    from ..exporter.settings import ExporterSettings
    from ..system.shutdown import ShutdownRequest

    settings = ExporterSettings.from_args(args)
    stop = ShutdownRequest()
    started = time.time()
    with _attached_in_time(args, settings, stop) as attached:
        from contextlib import ExitStack

        from .. import __version__
        from ..exporter.exporter import Exporter
        from ..identity.resolver import Resolver
        from ..pipeline.pipeline import Pipeline
        from ..probe.kernel_counts import kills_by_cgroup
        from ..sinks import json_lines
        from ..sinks.buffered import BufferedSink
        from ..sinks.formats import open_sink
        from ..system import privileges
        from .metadata_providers import Background

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
                node=args.node,
                kernel_kills_before=attached.kills_before,
                # What pinned hooks told an earlier process is not on this one's pages.
                watched_since=max(started, attached.attached_at()),
            ) as serving,
        ):
            buffered: list[BufferedSink] = []

            def before_any_thread() -> None:
                if not args.keep_privileges:
                    privileges.drop_process()
                if (kept := serving.keep()) is not None:
                    closing.callback(kept.close)
                    buffered.append(kept)

            in_thread = (lambda: None) if args.keep_privileges else privileges.drop_thread
            serving.start(bound=before_any_thread, in_thread=in_thread)
            names = closing.enter_context(_names(args))
            background = closing.enter_context(Background(args, serving.event_lost))
            serving.follow(names.store, *background.stores)
            serving.metrics.watch_up = background.watch_up
            for name, (depth, size) in background.queues.items():
                serving.show_queue(name, depth, size)
            resolver = Resolver(names, background.asked)
            serving.earlier(((path, kills) for path, _, kills in earlier), resolver)
            if settings.log_incidents != "off":
                written = open_sink(settings.log_incidents, sys.stdout)
                written_log = BufferedSink(
                    written, lambda: serving.lost("log"), size=settings.log_queue
                )
                # What it could not write it has said: that is no failure of the whole.
                closing.callback(
                    lambda: standard_streams.abandon_stdout() if written_log.broken else None
                )
                closing.callback(written_log.close)
                serving.show_queue("log", written_log.depth, settings.log_queue)
                buffered.append(written_log)
            pipeline = Pipeline(
                attached,
                [serving.sink, *buffered, *background.sinks],
                buffered=buffered,
                node=args.node,
                complete=_complete(args),
                resolve=resolver.resolve,
                on_lost=serving.lost,
            )
            serving.ready(True)  # who reads the lines below may ask for it at once
            for address in serving.addresses:
                log.info(f"attached by {attached.hook}, serving on {address}")
            pipeline.run(
                stop, heartbeat=serving.heartbeat, heartbeat_seconds=serving.heartbeat_seconds
            )
            serving.ready(False)
    return 0


def _attached(args: Namespace) -> Probe:
    from ..probe.attach import attach
    from ..probe.object_file import read_object
    from ..system.privileges import spare_from_oom

    spare_from_oom(args.oom_score_adj)
    data = read_object(args.object)
    pins = _pins(args)
    try:
        return attach(
            data,
            hook=args.hook,
            btf=args.btf,
            ring_bytes=args.ring_bytes,
            cmdline=args.cmdline,
            debug=args.verbose,
            pins=pins,
        )
    except BaseException:
        if pins is not None:
            pins.close()  # or we would hold them against our own next try
        raise


def _pins(args: Namespace) -> Pins | None:
    if args.pin is None:
        return None
    from ..probe.pins import Pins

    return Pins(args.pin or None)


def _attached_in_time(args: Namespace, settings: ExporterSettings, stop: ShutdownRequest) -> Probe:
    try:
        return _attached(args)
    except Error as error:
        if not args.retry_attach:
            raise
        from ..exporter.retry_attach import attach_in_time

        return attach_in_time(lambda: _attached(args), error, settings, stop, node=args.node)


def _complete(args: Namespace) -> Callable[[Incident], Incident]:
    if not args.cmdline:
        return lambda incident: incident
    from ..incident.cmdline import CommandLines

    return CommandLines()


def _names(args: Namespace) -> ContainerDiscovery:
    """Learn the containers' names from now on; only after attaching."""
    from ..identity.discovery import ContainerDiscovery

    return ContainerDiscovery(_sources(args))


def _sources(args: Namespace) -> list[RuntimeState]:
    from ..identity.runtimes.sources import default_sources

    return default_sources(
        root=args.host_root,
        docker_folders=args.state_docker,
        containerd_folders=args.state_containerd,
        crio_folders=args.state_crio,
        podman_folders=args.state_podman,
    )


def doctor(args: Namespace) -> int:
    """Say what this kernel, container and user allow; 3 when no probe can attach."""
    from ..doctor.checks import examine, examine_socket
    from ..doctor.report import print_json, print_text

    report = examine(object_path=args.object, btf=args.btf, sources=_sources(args))
    if args.state_docker_socket:
        examine_socket(report, args.state_docker_socket)
    if args.kubernetes:
        from ..kubernetes.survey import survey

        report.add("runtimes", "kubernetes", survey(args))
    (print_json if args.output == "json" else print_text)(report, sys.stdout)
    return 0 if report.can_attach else 3


def unpin(args: Namespace) -> int:
    """Detach and remove what ``--pin`` left in the kernel."""
    from ..probe.pins import Pins, default_folder

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
    from ..sinks.formats import open_sink
    from .recording import replay as replay_recording

    replay_recording(args.file, open_sink(args.output, sys.stdout, colour=args.color))
    return 0


def show(args: Namespace) -> int:
    """List the incidents of a recording or an exporter, or draw one of them."""
    from .show import read_exporter, read_latest, show_incidents

    broken = None
    if args.recording is None:
        incidents = read_exporter(args)
    else:
        incidents, broken = read_latest(args.recording)
    if broken is not None and not incidents:
        raise broken
    show_incidents(incidents, sys.stdout, wanted=args.id, colour=args.color)
    if broken is not None:
        raise broken
    return 0


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "probe": probe,
    "exporter": exporter,
    "doctor": doctor,
    "unpin": unpin,
    "replay": replay,
    "show": show,
}
