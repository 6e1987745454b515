# SPDX-License-Identifier: Apache-2.0
"""Attaches as the options say, for every command that records.

Imports the loader only. What records need later is imported after attaching.
"""

from __future__ import annotations

from ..recorder.settings import RecorderSettings
from ..system.closeable import Closeable
from ..system.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ..incident.model import Incident
    from ..probe.pins import Pins
    from ..probe.probe import Probe
    from ..recorder.sampler import Sampler
    from ..stuck.model import Stuck


class AttachSettings(Settings):
    """What is attached, and how."""

    object_file: str | None  # None: the one in the package
    btf: str | None
    hook: str | None  # None: the first that attaches
    ring_bytes: int
    cmdline: bool
    debug: bool  # keep libbpf's debug log for errors
    pin: str | None  # None: no pins; empty: the usual folder
    oom_score_adj: int
    recorder: RecorderSettings | None = None  # None: no flight recorder
    stacks: bool = False  # the trigger's own stack
    killers: bool = False  # record who else kills

    @classmethod
    def from_args(cls, args: Namespace) -> AttachSettings:
        return cls(
            object_file=args.object,
            btf=args.btf,
            hook=args.hook,
            ring_bytes=args.ring_bytes,
            cmdline=args.cmdline,
            stacks=args.stacks,
            debug=args.verbose,
            pin=args.pin,
            oom_score_adj=args.oom_score_adj,
            recorder=_recorder(args),
            killers=args.killers == "on",
        )


def _recorder(args: Namespace) -> RecorderSettings | None:
    if args.recorder_max_cgroups == 0:
        return None
    return RecorderSettings(
        interval_seconds=args.recorder_interval,
        max_cgroups=args.recorder_max_cgroups,
        sampler=args.recorder_sampler,
    )


def attached(settings: AttachSettings) -> Probe:
    """Return the attached probe; errors as `read_object`, `Pins` and `attach` raise them."""
    from ..probe.attach import attach
    from ..probe.object_file import read_object
    from ..system.privileges import spare_from_oom

    spare_from_oom(settings.oom_score_adj)
    data = read_object(settings.object_file)
    pins = _pins(settings)
    try:
        return attach(
            data,
            hook=settings.hook,
            btf=settings.btf,
            ring_bytes=settings.ring_bytes,
            cmdline=settings.cmdline,
            stacks=settings.stacks,
            debug=settings.debug,
            pins=pins,
            recorder=settings.recorder,
            killers=settings.killers,
        )
    except BaseException:
        if pins is not None:
            pins.close()  # or our own next attempt would find them in use
        raise


def _pins(settings: AttachSettings) -> Pins | None:
    if settings.pin is None:
        return None
    from ..probe.pins import Pins

    return Pins(settings.pin or None)


def killable(host_root: str) -> Callable[[str | None, int | None], bool | None]:
    """Return what tells whether a cgroup has a process that may be killed."""
    from ..stuck.killable import is_anything_killable

    return lambda path, cgroup_id: is_anything_killable(path, cgroup_id, host_root)


def warn_stuck(stuck: Stuck) -> None:
    """Say that something is out of memory and nothing is killed: its record comes at the end."""
    from ..sinks.printable import printable
    from ..sinks.stuck_names import stuck_name
    from ..system import log

    log.warn(printable(f"{stuck_name(stuck)} is stuck: {stuck.verdict}"))


class Completion(Closeable):
    """Adds to a record just read what will be gone soon.

    Command lines, the node's memory where that ran out, samples, pressure. To be made when
    privileges have been dropped: it may start a thread.
    """

    def __init__(self, settings: AttachSettings, host_root: str, probe: Probe) -> None:
        from ..incident.pressure import PressureReader
        from ..incident.proc_memory import ProcMemory

        self._steps: list[Callable[[Incident], Incident]] = []
        if settings.cmdline:
            from ..incident.cmdline import CommandLines

            self._steps.append(CommandLines())  # first: a process that is killed may end any moment
        self._steps.append(ProcMemory())
        self._sampler = _sampler(settings.recorder, host_root, probe)
        if self._sampler is not None:
            self._steps.append(self._sampler)
        self._steps.append(PressureReader(host_root))

    def __call__(self, incident: Incident) -> Incident:
        for step in self._steps:
            incident = step(incident)
        return incident

    def close(self) -> None:
        if self._sampler is not None:
            self._sampler.close()


def _sampler(recorder: RecorderSettings | None, host_root: str, probe: Probe) -> Sampler | None:
    """Start it where it was asked for and the kernel has refused the recorder."""
    if recorder is None or not recorder.sampler or probe.recorder_refused is None:
        return None
    from ..recorder.sampler import Sampler, find_layout
    from ..system import log

    layout = next(filter(None, map(find_layout, dict.fromkeys((host_root, "")))), None)
    if layout is None:
        probe.no_sampler()
        log.warn(
            "no sampler: no memory cgroup is to be seen below /sys/fs/cgroup: mount it there, "
            "or below --host-root"
        )
        return None
    sampler = Sampler(recorder, layout)
    probe.sampled_by(sampler)
    sampler.start()
    log.info(f"sampling {layout[0]} instead of the flight recorder: {probe.recorder_refused}")
    return sampler
