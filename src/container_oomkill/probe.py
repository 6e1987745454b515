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

from . import libbpf, wire
from .errors import BpfError, UnsupportedError, UsageError
from .kernel_kills import kills_by_cgroup, read_kernel_kills
from .libbpf.btf import struct_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

# In the order they are attached: whoever ends an incident before whoever begins one.
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "fentry": (
        "mark_victim",
        "fexit_oom_kill_process",
        "fentry_kill",
        "fentry_oom_kill_process",
    ),
    "kprobe": (
        "mark_victim",
        "kretprobe_oom_kill_process",
        "kprobe_kill",
        "kprobe_oom_kill_process",
    ),
    "raw_tracepoint": ("mark_victim",),
}
# Sees whom the kernel looks at; a kernel without the function gives all the rest.
LOOKS: Mapping[str, str] = {"fentry": "fentry_look", "kprobe": "kprobe_look"}
LOOKED_AT_BY = "oom_evaluate_task"
HOOK_NUMBERS = {name: number for number, name in wire.HOOKS.items()}
KERNEL_TYPES = "/sys/kernel/btf/vmlinux"
RING_BYTES = 1 << 20
# A full cgroup is this close to its limit, in pages per CPU: what each CPU may have taken out of
# the counter in advance (MEMCG_CHARGE_BATCH in mm/memcontrol.c).
SLACK_PAGES_PER_CPU = 64


class Probe:
    """Programs attached, and the ring they write to. Closing detaches everything."""

    def __init__(
        self,
        hook: str,
        data: bytes,
        *,
        btf: str | None,
        ring_bytes: int,
        cmdline: bool = False,
        look: bool = True,
    ) -> None:
        """``look``: whether to attach to what `LOOKS` names as well."""
        cpus = libbpf.possible_cpus()
        programs = PROGRAMS[hook]
        self._looks = look and hook in LOOKS
        if self._looks:
            programs = (*programs, LOOKS[hook])
        self.hook = hook
        self.kills_before = read_kernel_kills()  # of the kernel, none of them ours
        self.kernel = os.uname().release
        self._btf = btf
        self._tasks: bool | None = None
        self.refused: dict[str, BpfError] = {}
        self._links: list[libbpf.Link] = []
        with libbpf.open_object(data, "oomkill", btf=btf) as opened:
            opened.choose(programs)
            opened.resize("ring", ring_bytes)
            if hook != "raw_tracepoint":
                opened.resize("kills_seen", 1)
            opened.configure(
                wire.config(
                    hook=HOOK_NUMBERS[hook],
                    cpus=cpus,
                    pages_slack=SLACK_PAGES_PER_CPU * cpus,
                    page_size=os.sysconf("SC_PAGE_SIZE"),
                    cmdline=cmdline,
                )
            )
            self._object = opened.load()
        try:
            for program in programs:
                self._links.append(self._object.attach(program))
            self.ring = libbpf.Ring(self._object.map_fd("ring"), self._object.map_entries("ring"))
        except BaseException:
            self.close()
            raise

    @property
    def attached(self) -> bool:
        """Whether the programs are in the kernel and on their hooks."""
        return bool(self._links)

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
        """Whether the tracepoint gives the victim itself, not its pid alone."""
        if self._tasks is None:
            with open(self._btf or KERNEL_TYPES, "rb") as file:
                _, fields = struct_layout(file.read(), "trace_event_raw_mark_victim")
            self._tasks = "uid" in fields
        return self._tasks

    def enter_earlier_kills(self) -> None:
        """Tell the raw tracepoint which cgroups had kills before it came.

        It knows a kill from a mere mark by the cgroup's own count of kills having grown.
        """
        if self.hook == "raw_tracepoint":
            for cgroup_id, kills in kills_by_cgroup():
                self._object.write_new("kills_seen", wire.u64(cgroup_id), wire.u64(kills))

    def counters(self) -> dict[str, int]:
        """Return what the kernel side counted since it was loaded (struct oomkill_counters)."""
        value = wire.ffi.new("struct oomkill_counters *")
        self._object.read("counters", wire.u32(0), value)
        return wire.COUNTERS.unpack(bytes(wire.ffi.buffer(value)))

    def close(self) -> None:
        """Detach every program, then free the maps."""
        while self._links:
            self._links.pop().close()
        if (ring := self.__dict__.pop("ring", None)) is not None:
            ring.close()
        self._object.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _attach_on(rung: str, data: bytes, *, btf: str | None, ring_bytes: int, cmdline: bool) -> Probe:
    """One rung, without the look at others where the kernel lacks nothing but that."""
    try:
        return Probe(rung, data, btf=btf, ring_bytes=ring_bytes, cmdline=cmdline)
    except BpfError as error:
        if LOOKED_AT_BY not in error.log:
            raise
        return Probe(rung, data, btf=btf, ring_bytes=ring_bytes, cmdline=cmdline, look=False)


def attach(
    data: bytes,
    *,
    hook: str | None = None,
    btf: str | None = None,
    ring_bytes: int = RING_BYTES,
    cmdline: bool = False,
    debug: bool = False,
) -> Probe:
    """Climb down the rungs to the first that attaches; ``hook`` forces one.

    ``cmdline``: read the victim's command line as well, which may hold secrets.

    Raises `UnsupportedError` with each rung's reason when none does.
    """
    if btf is not None and not os.access(btf, os.R_OK):
        raise UsageError(f"read the kernel's types from {btf}: no such file, or not readable")
    libbpf.capture_log(debug=debug)
    refused: dict[str, BpfError] = {}
    for rung in PROGRAMS if hook is None else (hook,):
        try:
            probe = _attach_on(rung, data, btf=btf, ring_bytes=ring_bytes, cmdline=cmdline)
        except BpfError as error:
            refused[rung] = error
            continue
        probe.refused = refused
        return probe
    reasons = "; ".join(f"{rung}: {error}" for rung, error in refused.items())
    if btf is None and not os.path.exists(KERNEL_TYPES):
        reasons = f"this kernel has no {KERNEL_TYPES}, and no --btf was given; {reasons}"
    raise UnsupportedError(
        f"no hook could be attached ({reasons}): `container-oomkill doctor` says what is missing"
    ) from refused[rung]
