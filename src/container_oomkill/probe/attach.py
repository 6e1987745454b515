# SPDX-License-Identifier: Apache-2.0
"""Attaches a BPF object with the best hook this kernel allows.

    fentry           trampolines on oom_kill_process() and __oom_kill_process()
    kprobe           breakpoints on the same two functions
    raw_tracepoint   mark_victim only: the domain is inferred from its usage

The first two use the tracepoint mark_victim as well. If the kernel refuses a hook, its reason is
kept for doctor, and for the error when no hook is left.
"""

from __future__ import annotations

import os
import sys

from .. import libbpf
from ..errors import BpfError, UnsupportedError, UsageError
from ..incident import wire
from ..killers import attach as killers_program
from ..libbpf.core_types import KERNEL_TYPES
from ..recorder import huge_pages, reclaim
from ..recorder import recorder as flight
from ..recorder.settings import RecorderSettings
from ..system.privileges import missing_capabilities
from .hook_order import in_order
from .kernel_counts import memory_controller_disabled, read_kernel_kills
from .kernel_functions import are_addresses_shown
from .probe import Probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .pins import Generation, Pins

# In the order they are attached: the one that ends an incident before the one that begins it.
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "fentry": (
        "mark_victim",
        "fexit_oom_kill_process",
        "fentry___oom_kill_process",
        "fentry_oom_kill_process",
    ),
    "kprobe": (
        "mark_victim",
        "kretprobe_oom_kill_process",
        "kprobe___oom_kill_process",
        "kprobe_oom_kill_process",
    ),
    "raw_tracepoint": ("mark_victim_alone",),
}
# The candidate scan; a kernel without oom_evaluate_task() gives everything else.
CANDIDATE_SCAN: Mapping[str, tuple[str, ...]] = {
    "fentry": ("fentry_oom_evaluate_task", "fentry_out_of_memory"),
    "kprobe": ("kprobe_oom_evaluate_task", "kprobe_out_of_memory"),
}
# Where the tracepoint mark_victim has the victim's pid and not its task: who got the signal.
VICTIM_SIGNAL = "victim_of_signal"
# libbpf's words where that function is in no type information, or nowhere to put a breakpoint.
NO_CANDIDATE_SCAN = (
    "find kernel BTF type ID of 'oom_evaluate_task'",
    "create kprobe 'oom_evaluate_task",
)
HOOK_NUMBERS = {name: number for number, name in wire.HOOKS.items()}
RING_BYTES = 1 << 20
BTF_MAGIC = 0xEB9F.to_bytes(2, sys.byteorder)
# A full cgroup is this close to its limit, in pages per CPU: what each CPU may have taken out of
# the counter in advance (MEMCG_CHARGE_BATCH in mm/memcontrol.c).
SLACK_PAGES_PER_CPU = 64


def attach(
    data: bytes,
    *,
    hook: str | None = None,
    btf: str | None = None,
    ring_bytes: int = RING_BYTES,
    cmdline: bool = False,
    debug: bool = False,
    pins: Pins | None = None,
    recorder: RecorderSettings | None = None,
    killers: bool = False,
    stacks: bool = False,
) -> Probe:
    """Try each hook in order of preference until one attaches; ``hook`` forces one.

    ``cmdline``: read the victim's command line as well, which may hold secrets. With ``pins`` it
    stays attached, and what is already pinned is resumed; they are closed with the probe.
    ``recorder``: start a flight recorder too, if the kernel lets us (`Probe.recorder`).
    ``killers``: record who else kills, if it does (`Probe.killers`). ``stacks``: record where in
    its own program the trigger was.

    Raises `UnsupportedError` with each hook's reason when none attaches.
    """
    if btf is not None:
        _check_types(btf)
    libbpf.capture_log(debug=debug)
    refused: dict[str, BpfError] = {}
    with libbpf.CoreTypes(btf) as types:
        for chosen in in_order(PROGRAMS, types) if hook is None else (hook,):
            try:
                constants = _constants(chosen, cmdline=cmdline, stacks=stacks, recorder=recorder)
                probe = _attach_hook(chosen, data, constants, types, ring_bytes, pins, recorder)
            except BpfError as error:
                refused[chosen] = error
            else:
                break
        else:
            raise _no_hook(refused, btf) from refused[chosen]
        if killers:
            _attach_killers(probe, data, types)
    probe.refused = refused
    if pins is not None:
        try:
            probe.resume_from(pins, probe.checkpoint.kills)
        except BaseException:
            probe.close()
            raise
    probe.kills_before = probe.checkpoint.kills
    return probe


def _no_hook(refused: Mapping[str, BpfError], btf: str | None) -> UnsupportedError:
    reasons = "; ".join(f"{hook}: {refused[hook]}" for hook in PROGRAMS if hook in refused)
    if btf is None and not os.path.exists(KERNEL_TYPES):
        reasons = f"this kernel has no {KERNEL_TYPES}, and --btf is not set; {reasons}"
    lacks = ""
    if missing := missing_capabilities():
        options = " ".join(f"--cap-add {name.removeprefix('CAP_')}" for name in missing)
        lacks = f"this process lacks {' and '.join(missing)}: run it as root, or with {options}; "
    return UnsupportedError(
        f"no hook can be attached ({reasons}): {lacks}`container-oomkill doctor` shows what is "
        "missing"
    )


def _check_types(path: str) -> None:
    """Refuse a file that is neither BTF nor an ELF file, which may have some in it."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        words = f"{error.strerror}".lower()
        raise UsageError(f"read the kernel's types from {path}: {words}") from error
    if start[:2] != BTF_MAGIC and start != b"\x7fELF":
        raise UsageError(
            f"read the kernel's types from {path}: neither BTF nor ELF: use a copy of the kernel's"
            f" {KERNEL_TYPES}, or its vmlinux"
        )


def _attach_hook(
    hook: str,
    data: bytes,
    settings: bytes,
    types: libbpf.CoreTypes,
    ring_bytes: int,
    pins: Pins | None,
    recorder: RecorderSettings | None,
) -> Probe:
    """Attach one hook, without the candidate scan where the kernel lacks nothing but that."""
    given = (data, settings, types, ring_bytes, pins, recorder)
    if hook in CANDIDATE_SCAN:
        programs = (*PROGRAMS[hook], *CANDIDATE_SCAN[hook])
        try:
            return _attach_programs(hook, programs, *given)
        except BpfError as error:
            if not any(words in error.log for words in NO_CANDIDATE_SCAN):
                raise
    programs = PROGRAMS[hook]
    if hook == "raw_tracepoint" and not marks_have_tasks(types):
        programs = (*programs, VICTIM_SIGNAL)
    return _attach_programs(hook, programs, *given)


def _constants(
    hook: str,
    *,
    cmdline: bool = False,
    stacks: bool = False,
    recorder: RecorderSettings | None = None,
) -> bytes:
    cpus = libbpf.possible_cpus()
    return wire.config(
        hook=HOOK_NUMBERS[hook],
        cpus=cpus,
        pages_slack=SLACK_PAGES_PER_CPU * cpus,
        page_size=os.sysconf("SC_PAGE_SIZE"),
        cmdline=cmdline,
        memcg_disabled=memory_controller_disabled(),
        tick_ns=0 if recorder is None else recorder.tick_ns(),
        stacks=stacks,
        names=not are_addresses_shown(),
    )


def _attach_programs(
    hook: str,
    programs: Sequence[str],
    data: bytes,
    settings: bytes,
    types: libbpf.CoreTypes,
    ring_bytes: int,
    pins: Pins | None,
    recorder: RecorderSettings | None,
) -> Probe:
    scans = hook in CANDIDATE_SCAN and programs != PROGRAMS[hook]
    signals = VICTIM_SIGNAL in programs
    cgroups = 1 if recorder is None else recorder.max_cgroups  # a map has one entry at least
    checksum = wire.checksum(data, settings, wire.u64(ring_bytes), wire.u64(cgroups))
    if pins is not None and (found := pins.resumable(hook, checksum, programs)) is not None:
        tasks = marks_have_tasks(types)
        probe = Probe(hook, found, scans=scans, signals=signals, marks_have_tasks=tasks)
        probe._attached_at = found.attached_at()
        probe.number = found.number
        probe.resumed = True
        probe.checkpoint.kills = read_kernel_kills()
        _start_recorder(probe, recorder, data, settings, types, pins)
        return probe
    with libbpf.open_object(data, "oomkill", types) as opened:
        opened.choose(programs)
        opened.leave_out_maps((*flight.OWN_MAPS, *reclaim.OWN_MAPS, *killers_program.MAPS))
        opened.resize("ring", ring_bytes)
        opened.resize(flight.RECORDINGS, cgroups)
        opened.resize(reclaim.SHARED_MAP, min(cgroups, reclaim.MAX_CGROUPS))
        if hook != "raw_tracepoint":
            opened.resize("kills_seen", 1)
            opened.resize("ooms_seen", 1)
        opened.configure(settings)
        loaded = opened.load()
    links: list[libbpf.Link] = []
    number = 0
    # None of them ours. As late as can be: the verifier's work, hook by hook, may take seconds.
    kills = read_kernel_kills()
    try:
        links.extend(map(loaded.attach, programs))
        if pins is not None:
            number = pins.keep(hook, checksum, loaded, dict(zip(programs, links, strict=True)))
        loaded.free_parsed()
        tasks = marks_have_tasks(types)
        probe = Probe(
            hook, loaded, links=links, scans=scans, signals=signals, marks_have_tasks=tasks
        )
    except BaseException:
        for link in reversed(links):
            link.close()
        loaded.close()
        raise
    probe.number = number
    probe.checkpoint.kills = kills
    _start_recorder(probe, recorder, data, settings, types, pins)
    return probe


def marks_have_tasks(types: libbpf.CoreTypes) -> bool:
    """Whether the tracepoint gives the victim itself, not its pid alone."""
    return types.has_member("trace_event_raw_mark_victim", "uid")


def _attach_killers(probe: Probe, data: bytes, types: libbpf.CoreTypes) -> None:
    """The probe keeps why it is refused."""
    try:
        probe.killers = killers_program.attach(data, types, _constants(probe.hook))
    except BpfError as error:
        probe.killers_refused = str(error)


def _start_recorder(
    probe: Probe,
    recorder: RecorderSettings | None,
    data: bytes,
    constants: bytes,
    types: libbpf.CoreTypes,
    pins: Pins | None,
) -> None:
    """Start it, or go on with the one that is pinned; the probe keeps why it is refused."""
    if recorder is None:
        return
    if memory_controller_disabled():
        probe.recorder_refused = "the memory controller is disabled (cgroup_disable=memory)"
        probe.reclaim_refused = probe.recorder_refused
        return
    pinned = None if pins is None else pins.generation(probe.number)
    try:
        _count_reclaim(probe, data, constants, types, pinned)
    except BpfError as error:
        probe.reclaim_refused = str(error)
    try:
        maps = _recorder_maps(probe, recorder, data, constants, types, pinned)
    except BpfError as error:
        probe.recorder_refused = str(error)
        return
    if huge_pages.are_charged():
        try:
            probe.keep([huge_pages.attach(data, types, constants, maps)])
            probe.watches_huge_pages = True
        except BpfError:
            probe.watches_huge_pages = False


def _recorder_maps(
    probe: Probe,
    recorder: RecorderSettings,
    data: bytes,
    constants: bytes,
    types: libbpf.CoreTypes,
    pinned: Generation | None,
) -> libbpf.LoadedObject | Generation:
    """Start the recorder, or go on with the one that is pinned; return its maps."""
    if pinned is not None and pinned.has(flight.MAPS):
        probe.recorder = flight.FlightRecorder(pinned, recorder)
        return pinned
    probe.recorder, loaded = flight.start(data, types, constants, probe.maps, recorder)
    if pinned is not None:
        pinned.keep(loaded, flight.MAPS)
    return loaded


def _count_reclaim(
    probe: Probe,
    data: bytes,
    constants: bytes,
    types: libbpf.CoreTypes,
    pinned: Generation | None,
) -> None:
    """Attach what counts the kernel's passes of reclaim, unless what is pinned does so already."""
    if pinned is not None and pinned.has(reclaim.PROGRAMS):
        return
    links = reclaim.attach(data, types, constants, probe.maps)
    probe.keep(links.values())
    if pinned is not None:
        if not pinned.has((reclaim.SHARED_MAP,)):
            pinned.keep(probe.maps, (reclaim.SHARED_MAP,))
        for program, link in links.items():
            link.pin(f"{pinned.folder}/{program}")
