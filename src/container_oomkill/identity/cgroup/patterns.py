# SPDX-License-Identifier: Apache-2.0
"""Takes the name of one cgroup, gives the container id in it: the table of the runtimes' forms.

No row is a regular expression: a name is a prefix, a text that one of the readers takes, and a
suffix, so that the time a path takes depends on its length only. Each row has an example, which
is its test.
"""

from __future__ import annotations

from dataclasses import dataclass

from .systemd import unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HEX = frozenset("0123456789abcdef")
_ALPHANUMERIC = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")
_IDENTIFIER = _ALPHANUMERIC | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ._-")


def hex64(text: str) -> tuple[str, str | None] | None:
    return (text, None) if len(text) == 64 and _HEX.issuperset(text) else None


def _build(text: str) -> tuple[str, str | None] | None:
    """BuildKit's ids: 25 digits to base 36 (identity.NewID of github.com/moby/buildkit)."""
    return (text, None) if len(text) == 25 and _ALPHANUMERIC.issuperset(text) else None


def _identifier(text: str) -> tuple[str, str | None] | None:
    """An id the user chose: github.com/containerd/containerd, pkg/identifiers."""
    if not 0 < len(text) <= 76 or not _IDENTIFIER.issuperset(text) or text[0] in "._-":
        return None
    return text, None if hex64(text) else text


def _name(text: str) -> tuple[str, str | None] | None:
    return (text, text) if text else None


def _machine(text: str) -> tuple[str, str | None] | None:
    name = unescape(text)
    return (name, name) if name else None


def _libvirt(text: str) -> tuple[str, str | None] | None:
    """``qemu-3-web``: libvirt's number of this start, then the domain's name."""
    machine = unescape(text)
    _, number, name = (*machine.split("-", 2), "", "")[:3]
    return (machine, name) if name and number.isdecimal() else None


def _nomad(text: str) -> tuple[str, str | None] | None:
    """``<allocation>.<task>``: an allocation has several tasks, so both are the id."""
    allocation, _, task = text.partition(".")
    return (text, task) if task and is_uuid(allocation) else None


def _allocation(text: str) -> tuple[str, str | None] | None:
    return (text, None) if is_uuid(text) else None


def _slurm(text: str) -> tuple[str, str | None] | None:
    return (text, text) if text.removeprefix("job_").isdecimal() else None


_C = "c0ffee42" * 8
_D = "d15ea5e0" * 8
_ALLOC = "9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8"
_POD = "0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9"


@dataclass(frozen=True, slots=True)
class CgroupPattern:
    """One way to name a container's cgroup: its name is prefix + what ``read`` takes + suffix.

    ``under``: the cgroups right above it, "*" for any; ``at_root``: those are at the root.
    ``below``: one somewhere above it.
    ``runtime`` is None where several runtimes use the form. The rest is the row's own test.
    """

    runtime: str | None
    example: str
    prefix: str = ""
    suffix: str = ""
    under: tuple[str, ...] = ()
    at_root: bool = False
    below: str = ""
    read: Callable[[str], tuple[str, str | None] | None] = hex64
    id: str = _C
    name: str | None = None


PATTERNS = (
    # systemd driver: <slice>/<prefix>-<id>.scope, wherever the slice is
    CgroupPattern("docker", f"/system.slice/docker-{_C}.scope", "docker-", ".scope"),
    CgroupPattern(
        "containerd",
        f"/kubepods.slice/kubepods-pod{_POD}.slice/cri-containerd-{_C}.scope",
        "cri-containerd-",
        ".scope",
    ),
    CgroupPattern("containerd", f"/system.slice/nerdctl-{_C}.scope", "nerdctl-", ".scope"),
    CgroupPattern(
        "crio", f"/kubepods.slice/kubepods-pod{_POD}.slice/crio-{_C}.scope", "crio-", ".scope"
    ),
    CgroupPattern("podman", f"/machine.slice/libpod-{_C}.scope/container", "libpod-", ".scope"),
    # cgroupfs driver with the runtime's name
    CgroupPattern("docker", f"/docker/{_C}", under=("docker",)),
    CgroupPattern("docker", f"/ecs/0f9e8d7c6b5a49382716/{_C}", under=("ecs", "*")),
    CgroupPattern("crio", f"/kubepods/besteffort/pod{_POD.replace('_', '-')}/crio-{_C}", "crio-"),
    CgroupPattern("podman", f"/libpod_parent/libpod-{_C}", "libpod-"),
    # podman run --cgroups=split, what Quadlet does: below the unit that runs podman
    CgroupPattern("podman", f"/system.slice/web.service/libpod-payload-{_C}", "libpod-payload-"),
    # docker build: <parent>/buildkit/<id>, or docker-<id>.scope
    CgroupPattern(
        "buildkit",
        "/docker/buildkit/x3k9f0v2m7q1w8e5r4t6y0u2i",
        under=("docker", "buildkit"),
        read=_build,
        id="x3k9f0v2m7q1w8e5r4t6y0u2i",
    ),
    CgroupPattern(
        "buildkit",
        "/system.slice/docker-x3k9f0v2m7q1w8e5r4t6y0u2i.scope",
        "docker-",
        ".scope",
        read=_build,
        id="x3k9f0v2m7q1w8e5r4t6y0u2i",
    ),
    # containerd without a cgroup parent: /<namespace>/<id>, both free text. Taken only at the
    # root and only in the namespaces containerd's own clients use: any other "/a/b" may be
    # anybody's cgroup.
    CgroupPattern(
        "containerd",
        "/default/web-1",
        under=("default",),
        at_root=True,
        read=_identifier,
        id="web-1",
        name="web-1",
    ),
    CgroupPattern("containerd", f"/k8s.io/{_C}", under=("k8s.io",), at_root=True, read=_identifier),
    CgroupPattern(
        "containerd",
        "/moby/probe",
        under=("moby",),
        at_root=True,
        read=_identifier,
        id="probe",
        name="probe",
    ),
    CgroupPattern(
        "buildkit",
        "/buildkit/x3k9f0v2m7q1w8e5r4t6y0u2i",
        under=("buildkit",),
        at_root=True,
        read=_build,
        id="x3k9f0v2m7q1w8e5r4t6y0u2i",
    ),
    # An id and no more: Kubernetes with cgroupfs (containerd, cri-dockerd), --cgroup-parent
    CgroupPattern(None, f"/kubepods/burstable/pod{_POD.replace('_', '-')}/{_C}"),
    # LXC, Incus, LXD: since 4.0, 3.x, before and Proxmox. lxc.monitor is the host's side.
    CgroupPattern(
        "lxc", "/lxc.payload.web/init.scope", "lxc.payload.", read=_name, id="web", name="web"
    ),
    CgroupPattern(
        "lxc", "/lxc.payload/web", under=("lxc.payload",), read=_name, id="web", name="web"
    ),
    CgroupPattern(
        "lxc", "/lxc/101/ns/init.scope", under=("lxc",), read=_name, id="101", name="101"
    ),
    # libvirt's virtual machines, before machined's other machines, which they are named like
    CgroupPattern(
        "qemu",
        "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope/libvirt/emulator",
        "machine-",
        ".scope",
        below="machine.slice",
        read=lambda text: _libvirt(text) if text.startswith("qemu\\x2d") else None,
        id="qemu-3-web",
        name="web",
    ),
    CgroupPattern(
        "nspawn",
        "/machine.slice/machine-my\\x2dbox.scope/payload",
        "machine-",
        ".scope",
        below="machine.slice",
        read=_machine,
        id="my-box",
        name="my-box",
    ),
    CgroupPattern(
        "nspawn",
        "/machine.slice/systemd-nspawn@box.service/payload/init.scope",
        "systemd-nspawn@",
        ".service",
        read=_machine,
        id="box",
        name="box",
    ),
    # Nomad's exec and raw_exec: 1.7 and cgroup v2, then cgroup v1, then the oldest
    CgroupPattern(
        "nomad",
        f"/nomad.slice/share.slice/{_ALLOC}.web.scope",
        suffix=".scope",
        read=_nomad,
        id=f"{_ALLOC}.web",
        name="web",
    ),
    CgroupPattern(
        "nomad",
        f"/nomad/share/{_ALLOC}.web",
        under=("nomad", "*"),
        read=_nomad,
        id=f"{_ALLOC}.web",
        name="web",
    ),
    CgroupPattern(
        "nomad",
        f"/nomad/{_ALLOC}.web",
        under=("nomad",),
        read=_nomad,
        id=f"{_ALLOC}.web",
        name="web",
    ),
    CgroupPattern("nomad", f"/nomad/{_ALLOC}", under=("nomad",), read=_allocation, id=_ALLOC),
    CgroupPattern(
        "slurm",
        "/system.slice/slurmstepd.scope/job_42/step_0/user/task_0",
        under=("slurmstepd.scope",),
        read=_slurm,
        id="job_42",
        name="job_42",
    ),
)


def is_uid(text: str) -> bool:
    """A UUID; a static pod's is an MD5 sum."""
    return is_uuid(text) or (len(text) == 32 and _HEX.issuperset(text))


def is_uuid(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(map(_HEX.issuperset, parts))
