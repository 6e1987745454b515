# SPDX-License-Identifier: Apache-2.0
"""Checks what this kernel, container and user allow, and how to get what is missing."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .. import libbpf
from ..errors import BpfError, ObjectError, UnsupportedError
from ..identity.runtimes.survey import Survey, survey
from ..libbpf.btf import struct_layout
from ..probe import object_file, pins
from ..probe.attach import PROGRAMS, attach
from ..recorder.settings import RecorderSettings
from ..system.privileges import FOR_BPF, held_capabilities
from .report import Finding, Report

if TYPE_CHECKING:
    from ..identity.runtimes.state import RuntimeState

LOG_LINES = 3
HOOK_REMEDIES = {
    "fentry": "needs BPF trampolines (x86-64: 5.5, arm64: 6.4), CAP_BPF and CAP_PERFMON",
    "kprobe": "needs CONFIG_KPROBES and perf_event_open: CAP_SYS_ADMIN, or CAP_PERFMON and, on "
    "Debian and Ubuntu, perf_event_paranoid below 3",
    "raw_tracepoint": "needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN",
}


KILLERS_REMEDY = "kills by the OOM killer are recorded all the same; SIGKILL by others is not"
RECORDER_REMEDY = (
    "needs Linux 5.15 or newer that is not PREEMPT_RT: kills are recorded without what came "
    "before, unless --recorder.sampler has a thread sample it"
)


def examine(
    *,
    object_path: str | None = None,
    btf: str | None = None,
    sources: Iterable[RuntimeState] = (),
    proc: Path = Path("/proc"),
    sys: Path = Path("/sys"),
) -> Report:
    """Look at everything; attaches and detaches each hook in turn."""
    report = Report(kernel=platform.release(), machine=platform.machine())
    _examine_kernel(report, proc, sys, btf)
    data = _examine_object(report, object_path)
    if data is not None:
        for hook in PROGRAMS:
            finding, recorder, killers = _try_hook(hook, data, btf)
            report.add("hooks", hook, finding)
            if finding.ok and report.hook is None:
                report.hook = hook
                report.add("flight recorder", "bpf_timer", recorder)
                report.add("kills by others", "signal_generate", killers)
        _examine_pinning(report, data, btf, proc)
    _examine_privileges(report, proc)
    examine_runtimes(report, sources)
    return report


def _examine_kernel(report: Report, proc: Path, sys: Path, btf: str | None) -> None:
    report.add("kernel", "BTF", _kernel_types(Path(btf) if btf else sys / "kernel/btf/vmlinux"))
    report.add("kernel", "memory cgroups", _memory_cgroups(proc))
    report.add("kernel", "lockdown", _lockdown(sys))
    report.add("kernel", "libbpf", Finding(True, libbpf.version()))


def _kernel_types(path: Path) -> Finding:
    try:
        struct_layout(path.read_bytes(), "oom_control")
    except OSError as error:  # of the file, or of libbpf reading it
        return Finding(
            False,
            f"{path}: {error}" if isinstance(error, BpfError) else f"{path} does not exist",
            "use a kernel built with CONFIG_DEBUG_INFO_BTF (5.8 or newer), mount /sys, "
            "or pass this kernel's types with --btf FILE",
        )
    return Finding(True, str(path))


def _memory_cgroups(proc: Path) -> Finding:
    for line in _lines(proc / "cgroups"):
        name, hierarchy, *_ = line.split()
        if name == "memory" and hierarchy != "0":
            return Finding(True, "cgroup v1")
    if any(" cgroup2 " in line for line in _lines(proc / "self/mounts")):
        return Finding(True, "cgroup v2")
    return Finding(True, "not mounted here; kills are recorded anyway")


def _lockdown(sys: Path) -> Finding:
    text = "".join(_lines(sys / "kernel/security/lockdown"))
    chosen = text.partition("[")[2].partition("]")[0] or "none"
    if chosen == "confidentiality":
        return Finding(
            False,
            chosen,
            "BPF programs may not read kernel memory: boot with lockdown=integrity, or without",
        )
    return Finding(True, chosen)


def _examine_object(report: Report, path: str | None) -> bytes | None:
    try:
        data = object_file.read_object(path)
        object_file.check_object(data, path or object_file.PACKAGED)
    except ObjectError as error:
        remedy = "reinstall container-oomkill, or use another --object"
        report.add("object", "oomkill.bpf.o", Finding(False, str(error), remedy))
        return None
    words = f"{len(data)} bytes, matches this build"
    report.add("object", "oomkill.bpf.o", Finding(True, words))
    return data


def _try_hook(hook: str, data: bytes, btf: str | None) -> tuple[Finding, Finding, Finding]:
    """Attach it, with a flight recorder and what records kills by others beside it."""
    try:
        with attach(data, hook=hook, btf=btf, recorder=RecorderSettings(), killers=True) as probe:
            recorder = Finding(True, "started and stopped")
            if (refused := probe.recorder_refused) is not None:
                recorder = Finding(None, refused, RECORDER_REMEDY)
            attached = Finding(True, "attached and detached")
            killers = attached
            if (refused := probe.killers_refused) is not None:
                killers = Finding(None, refused, KILLERS_REMEDY)
            return attached, recorder, killers
    except UnsupportedError as error:
        cause = error.__cause__
        words, log = str(error), ""
        if isinstance(cause, BpfError):
            words, log = str(cause), cause.log
        lines = tuple(line.strip() for line in log.splitlines() if line.strip())
        tried = Finding(False, words, HOOK_REMEDIES[hook], lines[-LOG_LINES:])
        none = Finding(None, "no hook to record for")
        return tried, none, none


def _examine_pinning(report: Report, data: bytes, btf: str | None, proc: Path) -> None:
    """Pin each hook that attaches, under a name of doctor's own, and remove it again."""
    if pins.USUAL_MOUNT not in pins.bpf_mounts(str(proc)):
        words = f"no bpf file system mounted at {pins.USUAL_MOUNT}"
        report.add("pinning", "--pin", Finding(False, words, pins.HOW_TO_MOUNT))
        return
    folder = f"{pins.DEFAULT_FOLDER}-doctor-{os.getpid()}"
    for hook, attached in report.findings["hooks"].items():
        if attached.ok:
            report.add("pinning", hook, _try_pinning(hook, data, btf, folder, proc))


def _try_pinning(hook: str, data: bytes, btf: str | None, folder: str, proc: Path) -> Finding:
    try:
        try:
            with pins.Pins(folder, proc=str(proc)) as tried:
                attach(data, hook=hook, btf=btf, pins=tried).close()  # and the pins with it
        finally:
            with pins.Pins(folder, proc=str(proc)) as left:
                left.remove()
    except UnsupportedError as error:
        words = str(error.__cause__ if isinstance(error.__cause__, BpfError) else error)
        remedy = "kprobes cannot be pinned before Linux 5.15: --pin uses another hook"
        return Finding(False, words, remedy if hook == "kprobe" else None)
    return Finding(True, f"pinned next to {folder.rpartition('-doctor')[0]} and removed")


def _examine_privileges(report: Report, proc: Path) -> None:
    held = held_capabilities(str(proc))
    everything = held["CAP_SYS_ADMIN"]
    for name in FOR_BPF:
        if held[name]:
            finding = Finding(True, "held")
        elif everything:
            finding = Finding(True, "not held, but CAP_SYS_ADMIN is")
        else:
            short = name.removeprefix("CAP_")
            finding = Finding(
                False,
                "not held",
                f"run as root, or start the container with --cap-add {short} "
                "(SYS_ADMIN if the engine or the kernel does not know it)",
            )
        report.add("privileges", name, finding)
    report.add("privileges", "locked memory", _locked_memory(held, report.kernel))
    paranoid = "".join(_lines(proc / "sys/kernel/perf_event_paranoid")).strip()
    report.add("privileges", "perf_event_paranoid", Finding(True, paranoid or "unknown"))


def examine_runtimes(report: Report, sources: Iterable[RuntimeState]) -> None:
    """Look at the folders that names come from, and count what is in them."""
    for runtime, found in survey(sources).items():
        report.add("runtimes", runtime, _runtime(runtime, found))


def examine_socket(report: Report, path: str) -> None:
    """Ask an engine once for its containers."""
    from ..identity.runtimes.engine_socket import FAULTS, EngineSocket, words_of

    engine = EngineSocket(path)
    try:
        engine.list()
    except FAULTS as error:
        remedy = f"mount the engine's socket, -v {path}:{path}, and run as root or in its group"
        finding = Finding(False, f"{path}: {words_of(error)}", remedy)
    else:
        finding = Finding(True, f"{_count(len(engine.store))} ({path})")
    report.add("runtimes", "socket", finding)


def _runtime(runtime: str, found: Survey) -> Finding:
    """What is known of one runtime's containers; that none is found need not be a fault."""
    words = [f"{_count(known)} ({folder})" for folder, known in found.known.items()]
    words += [f"{folder}: {reason}" for folder, reason in found.refused.items()]
    words += [f"{count} skipped: {reason}" for reason, count in sorted(found.damaged.items())]
    if found.refused:
        remedy = "run as root, or start the container with --cap-add DAC_READ_SEARCH"
        return Finding(False, ", ".join(words), remedy)
    if found.known:
        return Finding(True, ", ".join(words))
    usual = found.missing[0]
    remedy = f"if it runs here: mount its state read-only, -v {usual}:{usual}:ro"
    others = f" and {len(found.missing) - 1} more" if found.missing[1:] else ""
    return Finding(
        None, f"no state found in {usual}{others}", f"{remedy}, or use --state.{runtime} DIR"
    )


def _count(containers: int) -> str:
    return f"{containers} container" + "s" * (containers != 1)


def _locked_memory(held: Mapping[str, bool], kernel: str) -> Finding:
    version = tuple(int(part) for part in kernel.split(".")[:2] if part.isdigit())
    if version >= (5, 11):
        return Finding(True, "not limited: BPF memory is charged to the cgroup")
    if held["CAP_SYS_RESOURCE"]:
        return Finding(True, "libbpf raises the limit")
    return Finding(
        False,
        "limited before Linux 5.11",
        "add --cap-add SYS_RESOURCE, or raise the limit: ulimit -l unlimited",
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
