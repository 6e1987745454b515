# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill probe`: attaches, then prints one record per incident."""

from __future__ import annotations

import sys

from ..system.settings import Settings
from .attaching import AttachSettings, attached
from .filters import has_filters, query_from
from .metadata_providers import ProviderSettings, StateSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import TextIO

    from ..identity.resolver import Resolver
    from ..pipeline.kills import KillDelivery, PodEnds
    from ..pipeline.stuck import StuckDelivery
    from ..probe.kernel_functions import KernelFunctions
    from ..probe.probe import Probe
    from ..sinks.query import Query
    from ..system.shutdown import ShutdownRequest


class ProbeSettings(Settings):
    """As the options have them."""

    attach: AttachSettings
    state: StateSettings = StateSettings()
    providers: ProviderSettings = ProviderSettings()
    output: str = "text"
    colour: str = "auto"
    count: int | None = None  # None: until interrupted
    query: Query | None = None  # None: all
    node: str | None = None
    keep_privileges: bool = False

    @classmethod
    def from_args(cls, args: Namespace) -> ProbeSettings:
        """Raises `UsageError` for a filter that is none."""
        return cls(
            attach=AttachSettings.from_args(args),
            state=StateSettings.from_args(args),
            providers=ProviderSettings.from_args(args),
            output=args.output,
            colour=args.color,
            count=args.count,
            query=query_from(args) if has_filters(args) else None,
            node=args.node,
            keep_privileges=args.keep_privileges,
        )


def command(args: Namespace) -> int:
    """Attach, print one record per incident until interrupted or ``--count`` are out."""
    settings = ProbeSettings.from_args(args)
    settings.state.check()
    settings.providers.check()
    with attached(settings.attach) as probe:
        record(settings, probe, sys.stdout)
    return 0


def record(settings: ProbeSettings, probe: Probe, stdout: TextIO) -> None:
    """Drop privileges, say so, then wire the sinks to an attached probe, until interrupted."""
    from ..probe.kernel_counts import counts_by_cgroup
    from ..system import log, privileges
    from ..system.shutdown import ShutdownRequest

    stop = ShutdownRequest()
    stop.on_signals()
    stop.on_hang_up(stdout.fileno())
    probe.enter_earlier_counts(counts_by_cgroup())  # by bpf(), so while privileges last
    functions = probe.kernel_functions()
    if not settings.keep_privileges:
        # Before any thread: each starts with what its maker has.
        privileges.drop_process(clients=settings.providers.ask_others)
    log.info(f"attached with {probe.hook}")
    deliver(settings, probe, stop, stdout, functions)


def deliver(
    settings: ProbeSettings,
    probe: Probe,
    stop: ShutdownRequest,
    stdout: TextIO,
    functions: KernelFunctions,
) -> None:
    """Import what records need, which come meanwhile and wait in the ring, and deliver them."""
    from ..identity.resolver import Resolver
    from ..pipeline.pipeline import Pipeline
    from ..sinks.formats import open_sink
    from ..system.worker import Worker
    from .attaching import Completion
    from .metadata_providers import MetadataProviders

    Worker("functions").start(functions.read)
    with (
        functions,
        settings.state.discover() as names,
        MetadataProviders(settings.providers, _say_not_told, node=settings.node) as providers,
        Completion(settings.attach, settings.state.host_root, probe) as complete,
    ):
        resolver = Resolver(names, providers.asked)
        pipeline = Pipeline(
            probe,
            [open_sink(settings.output, stdout, colour=settings.colour), *providers.sinks],
            node=settings.node,
            complete=complete,
            resolve=resolver.resolve,
            wanted=settings.query.matches if settings.query is not None else None,
            kills=_kills(settings, probe, resolver, stdout, providers.pod_ends),
            symbols=functions.symbols,
            stuck=_stuck(settings, probe, resolver, stdout),
        )
        pipeline.run(stop, count=settings.count)


def _kills(
    settings: ProbeSettings,
    probe: Probe,
    resolver: Resolver,
    stdout: TextIO,
    pod_ends: PodEnds | None,
) -> KillDelivery | None:
    """Return what delivers the kills of others; None: they are not recorded."""
    if probe.killers is None:
        return None
    from ..pipeline.kills import KillDelivery
    from ..sinks.kill_formats import open_kill_sink
    from ..sinks.kill_query import kill_matches

    query = settings.query
    return KillDelivery(
        probe.killers,
        [open_kill_sink(settings.output, stdout, colour=settings.colour)],
        resolver,
        node=settings.node,
        wanted=None if query is None else lambda kill: kill_matches(query, kill),
        pod_ends=pod_ends,
    )


def _stuck(
    settings: ProbeSettings, probe: Probe, resolver: Resolver, stdout: TextIO
) -> StuckDelivery | None:
    """Return what delivers what is out of memory without a kill; None: nothing looks for it."""
    if probe.recorder is None:
        return None
    from ..pipeline.stuck import StuckDelivery
    from ..sinks.stuck_formats import open_stuck_sink
    from ..sinks.stuck_query import stuck_matches
    from .attaching import killable, warn_stuck

    query = settings.query
    return StuckDelivery(
        probe.recorder.stuck,
        [open_stuck_sink(settings.output, stdout, colour=settings.colour)],
        resolver,
        node=settings.node,
        on_begin=warn_stuck,
        wanted=lambda stuck: query is None or stuck_matches(query, stuck),
        killable=killable(settings.state.host_root),
    )


def _say_not_told(incidents: int) -> None:
    from ..system import log

    log.warn(f"could not write Kubernetes Events for {incidents} incidents")
