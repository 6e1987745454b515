# SPDX-License-Identifier: Apache-2.0
"""Takes a BPF object, gives it attached on the best rung of hooks this kernel allows.

    fentry           trampolines on oom_kill_process() and __oom_kill_process()
    kprobe           breakpoints on the same two
    raw_tracepoint   mark_victim alone: the domain is inferred from its usage

The first two end in the tracepoint mark_victim as well. A rung the kernel refuses is kept with the
kernel's words, for doctor and for the error when none is left.
"""

from __future__ import annotations

import os
import sys
import time

from . import libbpf, wire
from .account import Account
from .closing import Closing
from .errors import BpfError, UnsupportedError, UsageError
from .kernel_kills import read_kernel_kills
from .libbpf.btf import struct_layout
from .libbpf.core_types import KERNEL_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .pins import Generation, Pins

# In the order they are attached: whoever ends an incident before whoever begins one.
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "fentry": ("mark_victim", "fexit_oom_kill_process", "fentry_kill", "fentry_oom_kill_process"),
    "kprobe": (
        "mark_victim",
        "kretprobe_oom_kill_process",
        "kprobe_kill",
        "kprobe_oom_kill_process",
    ),
    "raw_tracepoint": ("mark_victim",),
}
# See whom the kernel looks at; a kernel without oom_evaluate_task() gives all the rest.
LOOKS: Mapping[str, tuple[str, ...]] = {
    "fentry": ("fentry_look", "fentry_out_of_memory"),
    "kprobe": ("kprobe_look", "kprobe_out_of_memory"),
}
# libbpf's words where that function is in no type information, or nowhere to put a breakpoint.
NO_LOOK = (
    "find kernel BTF type ID of 'oom_evaluate_task'",
    "create kprobe 'oom_evaluate_task",
)
HOOK_NUMBERS = {name: number for number, name in wire.HOOKS.items()}
RING_BYTES = 1 << 20
BTF_MAGIC = 0xEB9F.to_bytes(2, sys.byteorder)
# A full cgroup is this close to its limit, in pages per CPU: what each CPU may have taken out of
# the counter in advance (MEMCG_CHARGE_BATCH in mm/memcontrol.c).
SLACK_PAGES_PER_CPU = 64


class Probe(Closing):
    """Programs attached, and the ring they write to. Closing detaches what is not pinned."""

    def __init__(
        self,
        hook: str,
        maps: libbpf.LoadedObject | Generation,
        *,
        links: Sequence[libbpf.Link] = (),
        looks: bool,
        types: str,
    ) -> None:
        """``maps`` and ``links`` are closed with this; ``looks``: `LOOKS` is among them.

        ``types``: the file with the kernel's types.
        """
        self.hook = hook
        self._looks = looks
        self.kernel = os.uname().release
        self.account = Account()
        self.number = 0  # among the pinned generations; 0: not pinned
        self._attached_at = time.time()
        self.older: Sequence[Generation] = ()  # of other versions, to be read before this one
        self.given_up = 0  # records of another layout, left there by another version
        self._pins: Pins | None = None
        self.kills_before: int | None = None  # by the kernel's count, told before this start
        self.refused: dict[str, BpfError] = {}
        self._types = types
        self._tasks: bool | None = None
        self._maps = maps
        self._links = list(links)
        self._attached = True
        self._ring = libbpf.Ring(maps.map_fd("ring"))
        self._counters = libbpf.Shared(maps.map_fd("counters"), wire.COUNTERS.size)

    def attached_at(self) -> float:
        """When it was attached: seconds since the epoch, by the clock of then."""
        return self._attached_at

    @property
    def ring(self) -> libbpf.Ring:
        return self._ring

    @property
    def attached(self) -> bool:
        """Whether the programs are in the kernel and on their hooks."""
        return self._attached

    def features(self) -> dict[str, bool]:
        """What this rung gives on this kernel, by name; the missing is unknown in a record."""
        told = self.hook != "raw_tracepoint"
        return {
            "oom_control": told,
            "domain_told": told,
            "threads": told,
            "candidates": self._looks,
            "every_victim": told or self._marks_have_tasks(),
        }

    def _marks_have_tasks(self) -> bool:
        """Whether the tracepoint gives the victim itself, not its pid alone; if that is known."""
        if self._tasks is None:
            try:
                with open(self._types, "rb") as file:
                    _, fields = struct_layout(file.read(), "trace_event_raw_mark_victim")
            except OSError:  # types in an ELF file, few types, or a file that is gone by now
                fields = {}
            self._tasks = "uid" in fields
        return self._tasks

    def enter_earlier_kills(self, counted: Iterable[tuple[str, int, int]]) -> None:
        """Tell the raw tracepoint which cgroups had kills before it came, by `kills_by_cgroup`.

        It knows a kill from a mere mark by the cgroup's own count of kills having grown. One may
        have been counted and not yet marked when the count was read, so these say where they are
        from: a first mark that finds the very same number is sent as one that may be a kill.
        """
        if self.hook == "raw_tracepoint" and isinstance(self._maps, libbpf.LoadedObject):
            for _, cgroup_id, kills in counted:
                entered = wire.u64(kills | wire.lib.OOMKILL_ENTERED)
                self._maps.write_new("kills_seen", wire.u64(cgroup_id), entered)

    def counters(self) -> dict[str, int]:
        """Return what the kernel side counted since it was loaded (struct oomkill_counters)."""
        return wire.COUNTERS.unpack(self._counters.read())

    def ring_use(self) -> tuple[int, int]:
        """Return the bytes that wait in the ring, and its size."""
        return self._ring.unread(), self._ring.size

    def take_up(self, pins: Pins, kills: int | None) -> None:
        """Go on from what is pinned beside this; ``pins`` are closed with it."""
        self._pins = pins
        self.older, self.given_up = pins.older(self.number, self._ring, kills)
        self.account = pins.account

    def close(self) -> None:
        """Detach every program that is not pinned, then free the maps."""
        self._attached = False
        while self._links:
            self._links.pop().close()
        for each in (self._ring, self._counters, *self.older, self._maps):
            each.close()
        if self._pins is not None:
            self._pins.close()


def attach(
    data: bytes,
    *,
    hook: str | None = None,
    btf: str | None = None,
    ring_bytes: int = RING_BYTES,
    cmdline: bool = False,
    debug: bool = False,
    pins: Pins | None = None,
) -> Probe:
    """Climb down the rungs to the first that attaches; ``hook`` forces one.

    ``cmdline``: read the victim's command line as well, which may hold secrets. With ``pins`` it
    stays attached, and what is pinned already is taken up again; they are closed with the probe.

    Raises `UnsupportedError` with each rung's reason when none attaches.
    """
    if btf is not None:
        _check_types(btf)
    libbpf.capture_log(debug=debug)
    refused: dict[str, BpfError] = {}
    with libbpf.CoreTypes(btf) as types:
        for rung in PROGRAMS if hook is None else (hook,):
            try:
                probe = _attach_rung(rung, data, types, ring_bytes, cmdline, pins)
            except BpfError as error:
                refused[rung] = error
            else:
                break
        else:
            raise _no_hook(refused, btf) from refused[rung]
    probe.refused = refused
    if pins is not None:
        try:
            probe.take_up(pins, probe.account.kills)
        except BaseException:
            probe.close()
            raise
    probe.kills_before = probe.account.kills
    return probe


def _no_hook(refused: Mapping[str, BpfError], btf: str | None) -> UnsupportedError:
    reasons = "; ".join(f"{rung}: {error}" for rung, error in refused.items())
    if btf is None and not os.path.exists(KERNEL_TYPES):
        reasons = f"this kernel has no {KERNEL_TYPES}, and no --btf was given; {reasons}"
    return UnsupportedError(
        f"no hook could be attached ({reasons}): `container-oomkill doctor` says what is missing"
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
            f"read the kernel's types from {path}: neither BTF nor an ELF file: copy a kernel's own"
            f" {KERNEL_TYPES}, or its vmlinux"
        )


def _attach_rung(
    hook: str,
    data: bytes,
    types: libbpf.CoreTypes,
    ring_bytes: int,
    cmdline: bool,
    pins: Pins | None,
) -> Probe:
    """One rung, without the look at others where the kernel lacks nothing but that."""
    cpus = libbpf.possible_cpus()
    settings = wire.config(
        hook=HOOK_NUMBERS[hook],
        cpus=cpus,
        pages_slack=SLACK_PAGES_PER_CPU * cpus,
        page_size=os.sysconf("SC_PAGE_SIZE"),
        cmdline=cmdline,
    )
    if hook in LOOKS:
        programs = (*PROGRAMS[hook], *LOOKS[hook])
        try:
            return _attach_programs(hook, programs, data, settings, types, ring_bytes, pins)
        except BpfError as error:
            if not any(words in error.log for words in NO_LOOK):
                raise
    return _attach_programs(hook, PROGRAMS[hook], data, settings, types, ring_bytes, pins)


def _attach_programs(
    hook: str,
    programs: Sequence[str],
    data: bytes,
    settings: bytes,
    types: libbpf.CoreTypes,
    ring_bytes: int,
    pins: Pins | None,
) -> Probe:
    looks = programs != PROGRAMS[hook]
    checksum = wire.checksum(data, settings, wire.u64(ring_bytes))
    if pins is not None and (found := pins.resumable(hook, checksum, programs)) is not None:
        probe = Probe(hook, found, looks=looks, types=types.source)
        probe._attached_at = found.attached_at()
        probe.number = found.number
        probe.account.kills = read_kernel_kills()
        return probe
    with libbpf.open_object(data, "oomkill", types) as opened:
        opened.choose(programs)
        opened.resize("ring", ring_bytes)
        if hook != "raw_tracepoint":
            opened.resize("kills_seen", 1)
        opened.configure(settings)
        loaded = opened.load()
    links: list[libbpf.Link] = []
    number = 0
    # None of them ours. As late as can be: the verifier's work, rung by rung, may take seconds.
    kills = read_kernel_kills()
    try:
        links.extend(map(loaded.attach, programs))
        if pins is not None:
            number = pins.keep(hook, checksum, loaded, dict(zip(programs, links, strict=True)))
        probe = Probe(hook, loaded, links=links, looks=looks, types=types.source)
    except BaseException:
        for link in reversed(links):
            link.close()
        loaded.close()
        raise
    probe.number = number
    probe.account.kills = kills
    return probe
