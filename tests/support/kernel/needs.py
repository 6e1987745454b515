# SPDX-License-Identifier: Apache-2.0
"""What a kernel test may ask of the machine, and why this one cannot give it."""

from __future__ import annotations

import functools
import os
from importlib.util import find_spec
from pathlib import Path

from container_oomkill.libbpf.btf import struct_layout
from container_oomkill.probe.kernel_counts import memory_controller_disabled

from .cgroups import V1_ROOT, is_hybrid, is_v1

KERNEL_TYPES = Path("/sys/kernel/btf/vmlinux")
CGROUP_FEATURES = Path("/sys/kernel/cgroup/features")
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
CAP_SYS_RESOURCE = 24  # include/uapi/linux/capability.h
SPARE_NODE = Path("/sys/devices/system/node/node3")


@functools.cache  # some 500 tests ask, and a guest would look for all of it each time
def lacking(what: str, hook: str | None) -> str | None:
    """Return why this machine or hook does not have it; None if it does."""
    raw = hook == "raw_tracepoint"
    reasons = {
        "cgroup v2": "the memory controller is on cgroup v1" if is_v1() else None,
        "cgroup v1": (
            None if is_v1() else "only on cgroup v1 a cgroup may have processes beside children"
        ),
        "a count of looks": (
            "cgroup v1 does not count how often the kernel has looked for a victim"
            if is_v1()
            else None
        ),
        "flight recorder": (
            None
            if has_bpf_timer()
            else "this kernel has no bpf_timer: it is older than 5.15, or PREEMPT_RT"
        ),
        "cgroup.kill": (
            "on cgroup v2 alone, from Linux 5.14 on"
            if is_v1() or not has_enumerator("cgroup_kill_write")
            else None
        ),
        "programs run by hand": (
            None
            if has_enumerator("BPF_PROG_TYPE_SYSCALL")
            else "this kernel runs no BPF program by hand: it is older than 5.14"
        ),
        "names of functions": (
            None
            if has_enumerator("BPF_FUNC_snprintf")
            else "this kernel's BPF cannot name a function (bpf_snprintf): it is older than 5.13"
        ),
        "no flight recorder": (
            "this kernel has bpf_timer, so it never samples" if has_bpf_timer() else None
        ),
        "hybrid": None if is_hybrid() else "one cgroup hierarchy only, so nothing to mix up",
        "cgroup_disable=memory": (
            None if memory_controller_disabled() else "this kernel's memory controller is on"
        ),
        "zswap in memory.stat": (
            None
            if has_enumerator("MEMCG_ZSWAP_B")
            else "this kernel charges no cgroup for what zswap holds"
        ),
        "verified_insns": (
            None
            if tells_verifier_steps()
            else "this kernel does not say how much the verifier looked at"
        ),
        "hugetlb accounting": (
            None
            if "memory_hugetlb_accounting" in CGROUP_FEATURES.read_text().split()
            else "this kernel charges no cgroup for huge pages"
        ),
        "SIGBUS without room for a huge page": (
            None
            if tuple(map(int, os.uname().release.split(".")[:2])) >= (7, 0)
            else "6.12 and 6.18 try again for good: who touched the page neither ends nor goes on"
        ),
        "CAP_SYS_RESOURCE": (
            None
            if may_spare()
            else "without CAP_SYS_RESOURCE oom_score_adj cannot be lowered, nor a limit raised"
        ),
        "no emulation": (
            "shown without a guest already; in an emulated one it takes minutes"
            if os.environ.get("OOMKILL_TEST_GUEST")
            else None
        ),
        "perf_event_open": (
            "above 2, as Debian sets it, kernel.perf_event_paranoid asks CAP_SYS_ADMIN of a kprobe"
            if hook == "kprobe" and int(PARANOID.read_text()) > 2
            else None
        ),
        "a quiet machine": (
            None
            if os.environ.get("OOMKILL_TEST_QUIET")
            else "it reads against the clock; OOMKILL_TEST_QUIET=1 where nothing else runs"
        ),
        "the API's extra": (
            None
            if find_spec("msgspec") and find_spec("yaml")
            else "this guest's user space is without the extra for Kubernetes' API"
        ),
        "guest": (
            None
            if os.environ.get("OOMKILL_TEST_GUEST")
            else "changes settings of the whole kernel, so it runs in a guest only"
        ),
        "memory killers": (
            None
            if os.environ.get("OOMKILL_TEST_MEMORY_KILLERS")
            else "Debian's systemd-oomd and earlyoom are unpacked for guests of this machine's kind"
        ),
        "fentry": (
            None
            if hook == "fentry"
            else "it takes a guest's time, and is the same on each hook: fentry shows it"
        ),
        "the whole matrix": (
            "minutes in a guest: where two kernels stand for all, fentry does for each hook"
            if os.environ.get("OOMKILL_TEST_QUICK") and hook != "fentry"
            else None
        ),
        "a look at the others": (
            "the raw_tracepoint hook does not see whom the kernel looks at" if raw else None
        ),
        "nodes": None
        if SPARE_NODE.exists()
        else "one memory node only, so none that could run out alone",
        "memory and swap": (
            None
            if (V1_ROOT / "memory.memsw.limit_in_bytes").exists()
            else "only cgroup v1 limits memory and swap together, where swap is accounted for"
        ),
        "oom_control": "the tracepoint does not have the kernel's oom_control" if raw else None,
    }
    return reasons[what]


@functools.cache
def tells_verifier_steps() -> bool:
    """Whether a program's fdinfo has verified_insns (5.16)."""
    _, fields = struct_layout(KERNEL_TYPES.read_bytes(), "bpf_prog_aux")
    return "verified_insns" in fields


def has_bpf_timer() -> bool:
    """PREEMPT_RT has it, and refuses it."""
    return has_enumerator("BPF_FUNC_timer_init") and "PREEMPT_RT" not in os.uname().version


@functools.cache
def has_enumerator(name: str) -> bool:
    """Whether the kernel's types name a value of an enum, or anything else, so."""
    return f"\0{name}\0".encode() in KERNEL_TYPES.read_bytes()


@functools.cache
def may_spare() -> bool:
    """Whether a process here may make itself unkillable."""
    status = Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return bool(effective & 1 << CAP_SYS_RESOURCE)
