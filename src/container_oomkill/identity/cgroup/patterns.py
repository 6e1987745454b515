# SPDX-License-Identifier: Apache-2.0
"""Takes the name of one cgroup, gives the container id in it: the table of the runtimes' forms.

No row is a regular expression: a name is a prefix, a text that one of the readers takes, and a
suffix, so that the time a path takes depends on its length only. Each row has an example, which
is its test.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import readers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_C = "c0ffee42" * 8
_D = "d15ea5e0" * 8
_ALLOC = "9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8"
_POD = "0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9"


# Where a form counts, which whoever may make cgroups elsewhere cannot choose (path.py).
UNIT = "unit"  # systemd made it: only slices are above it
ROOT = "root"  # what ``under`` has is at the root of the tree, of the host's or of a container's
ENGINE = "engine"  # no unit is above it, or one that is a runtime's own
SPLIT = "split"  # below the unit that runs it, whichever that is


@dataclass(frozen=True, slots=True)
class CgroupPattern:
    """One way to name a container's cgroup: its name is prefix + what ``read`` takes + suffix.

    ``under``: the cgroups right above it, "*" for any text; ``below``: the topmost one it is in;
    ``above``: the cgroup right below it. ``place``: UNIT, ROOT, ENGINE, SPLIT.
    ``users``: it may be a user's own, below that user's service manager.
    ``service``: what it is counted as, where each has a name of its own and lives for minutes.
    ``runtime`` is None where several runtimes use the form. The rest is the row's own test.
    """

    runtime: str | None
    example: str
    prefix: str = ""
    suffix: str = ""
    under: tuple[str, ...] = ()
    below: str = ""
    above: str = ""
    place: str = UNIT
    users: bool = False
    service: str | None = None
    read: Callable[[str], tuple[str, str | None] | None] = readers.hex64
    id: str = _C
    name: str | None = None


PATTERNS = (
    # systemd driver: <slice>/<prefix>-<id>.scope, wherever the slice is
    CgroupPattern("docker", f"/system.slice/docker-{_C}.scope", "docker-", ".scope", users=True),
    CgroupPattern(
        "containerd",
        f"/kubepods.slice/kubepods-pod{_POD}.slice/cri-containerd-{_C}.scope",
        "cri-containerd-",
        ".scope",
    ),
    CgroupPattern(
        "containerd", f"/system.slice/nerdctl-{_C}.scope", "nerdctl-", ".scope", users=True
    ),
    CgroupPattern(
        "crio", f"/kubepods.slice/kubepods-pod{_POD}.slice/crio-{_C}.scope", "crio-", ".scope"
    ),
    CgroupPattern(
        "podman", f"/machine.slice/libpod-{_C}.scope/container", "libpod-", ".scope", users=True
    ),
    # cgroupfs driver with the runtime's name
    CgroupPattern("docker", f"/docker/{_C}", under=("docker",), place=ENGINE, users=True),
    CgroupPattern("docker", f"/ecs/0f9e8d7c6b5a49382716/{_C}", under=("ecs", "*"), place=ENGINE),
    CgroupPattern(
        "crio",
        f"/kubepods/besteffort/pod{_POD.replace('_', '-')}/crio-{_C}",
        "crio-",
        place=ENGINE,
    ),
    CgroupPattern("podman", f"/libpod_parent/libpod-{_C}", "libpod-", place=ENGINE, users=True),
    # podman run --cgroups=split, what Quadlet does: below the unit that runs podman
    CgroupPattern(
        "podman",
        f"/system.slice/web.service/libpod-payload-{_C}",
        "libpod-payload-",
        place=SPLIT,
        users=True,
    ),
    # docker build: <parent>/buildkit/<id>, or docker-<id>.scope
    CgroupPattern(
        "buildkit",
        "/docker/buildkit/x3k9f0v2m7q1w8e5r4t6y0u2i",
        under=("docker", "buildkit"),
        place=ENGINE,
        read=readers.build,
        service="buildkit",
        id="x3k9f0v2m7q1w8e5r4t6y0u2i",
    ),
    CgroupPattern(
        "buildkit",
        "/system.slice/docker-x3k9f0v2m7q1w8e5r4t6y0u2i.scope",
        "docker-",
        ".scope",
        users=True,
        read=readers.build,
        service="buildkit",
        id="x3k9f0v2m7q1w8e5r4t6y0u2i",
    ),
    # buildah and podman build: a RUN step, by either OCI runtime
    CgroupPattern(
        "buildah",
        "/system.slice/crun-buildah-buildah2291.scope/container",
        "crun-",
        ".scope",
        users=True,
        read=readers.buildah,
        service="buildah",
        id="buildah-buildah2291",
    ),
    CgroupPattern(
        "buildah",
        "/system.slice/runc-buildah-buildah2291.scope",
        "runc-",
        ".scope",
        users=True,
        read=readers.buildah,
        service="buildah",
        id="buildah-buildah2291",
    ),
    # Apptainer, and Singularity as it was called: a process, and no more is told
    CgroupPattern(
        "apptainer",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/apptainer-4711.scope",
        "apptainer-",
        ".scope",
        users=True,
        read=readers.process,
        service="apptainer",
        id="4711",
    ),
    CgroupPattern(
        "singularity",
        "/system.slice/singularity-4711.scope",
        "singularity-",
        ".scope",
        users=True,
        read=readers.process,
        service="singularity",
        id="4711",
    ),
    # containerd without a cgroup parent: /<namespace>/<id>, both free text. Taken only at the
    # root and only in the namespaces of containerd's own clients, and of faasd's: any other "/a/b"
    # may be anybody's cgroup.
    CgroupPattern(
        "containerd",
        "/default/web-1",
        under=("default",),
        place=ROOT,
        read=readers.identifier,
        id="web-1",
        name="web-1",
    ),
    CgroupPattern(
        "containerd", f"/k8s.io/{_C}", under=("k8s.io",), place=ROOT, read=readers.identifier
    ),
    CgroupPattern(
        "containerd",
        "/moby/probe",
        under=("moby",),
        place=ROOT,
        read=readers.identifier,
        id="probe",
        name="probe",
    ),
    CgroupPattern(
        "containerd",
        "/openfaas-fn/figlet",
        under=("openfaas-fn",),
        place=ROOT,
        read=readers.identifier,
        id="figlet",
        name="figlet",
    ),
    CgroupPattern(
        "containerd",
        "/openfaas/gateway",
        under=("openfaas",),
        place=ROOT,
        read=readers.identifier,
        id="gateway",
        name="gateway",
    ),
    CgroupPattern(
        "buildkit",
        "/buildkit/x3k9f0v2m7q1w8e5r4t6y0u2i",
        under=("buildkit",),
        place=ROOT,
        read=readers.build,
        service="buildkit",
        id="x3k9f0v2m7q1w8e5r4t6y0u2i",
    ),
    # Garden, Cloud Foundry's, and Concourse, which has the same paths: guardian, rundmc/cgroups;
    # concourse, worker/runtime/spec. "good" and "bad" are for how much CPU they were seen to use.
    CgroupPattern(
        "garden",
        f"/garden/{_ALLOC}",
        under=("garden",),
        place=ENGINE,
        read=readers.handle,
        id=_ALLOC,
    ),
    CgroupPattern(
        "garden",
        f"/garden/good/{_ALLOC}",
        under=("garden", "good"),
        place=ENGINE,
        read=readers.handle,
        id=_ALLOC,
    ),
    CgroupPattern(
        "garden",
        f"/garden/bad/{_ALLOC}-b0d1",
        under=("garden", "bad"),
        place=ENGINE,
        read=readers.handle,
        id=f"{_ALLOC}-b0d1",
    ),
    CgroupPattern(
        "garden",
        f"/concourse/{_ALLOC}",
        under=("concourse",),
        place=ROOT,
        read=readers.handle,
        id=_ALLOC,
    ),
    # A UUID and no more: what Garden and Concourse give a privileged one (concourse #3613)
    CgroupPattern(None, f"/{_ALLOC}", place=ROOT, read=readers.allocation, id=_ALLOC),
    # Kata Containers, docs/design/host-cgroups.md: all of a sandbox's virtual machine; what of it
    # runs beside the pod's cgroup, by the runtime in Go and by that in Rust. The id is the
    # sandbox's.
    CgroupPattern(
        "kata", f"/kubepods/pod{_POD.replace('_', '-')}/kata_{_C}", "kata_", place=ENGINE
    ),
    CgroupPattern("kata", f"/kata_overhead/{_C}", under=("kata_overhead",), place=ROOT),
    CgroupPattern(
        "kata",
        f"/kata_overhead/kubepods/pod{_POD.replace('_', '-')}/{_C}",
        below="kata_overhead",
        place=ENGINE,
    ),
    CgroupPattern(
        "kata",
        f"/kata-overhead.slice/runtime-rs-{_C}.scope",
        "runtime-rs-",
        ".scope",
        below="kata-overhead.slice",
    ),
    # An id and no more: Kubernetes with cgroupfs (containerd, cri-dockerd), --cgroup-parent
    CgroupPattern(
        None, f"/kubepods/burstable/pod{_POD.replace('_', '-')}/{_C}", place=ENGINE, users=True
    ),
    # LXC, Incus, LXD: since 4.0, 3.x, before and Proxmox. lxc.monitor is the host's side. Where a
    # cgroup was left over LXC takes "web-1" for the container "web": the path cannot tell.
    CgroupPattern(
        "lxc",
        "/lxc.payload.web/init.scope",
        "lxc.payload.",
        place=ROOT,
        read=readers.any_name,
        id="web",
        name="web",
    ),
    CgroupPattern(
        "lxc",
        "/lxc.payload/web",
        under=("lxc.payload",),
        place=ROOT,
        read=readers.any_name,
        id="web",
        name="web",
    ),
    CgroupPattern(
        "lxc",
        "/lxc/101/ns/init.scope",
        under=("lxc",),
        place=ROOT,
        read=readers.any_name,
        id="101",
        name="101",
    ),
    # libvirt's virtual machines, before machined's other machines, which they are named like
    CgroupPattern(
        "qemu",
        "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope/libvirt/emulator",
        "machine-",
        ".scope",
        below="machine.slice",
        read=lambda text: readers.libvirt(text) if text.startswith("qemu\\x2d") else None,
        id="qemu-3-web",
        name="web",
    ),
    CgroupPattern(
        "nspawn",
        "/machine.slice/machine-my\\x2dbox.scope/payload",
        "machine-",
        ".scope",
        below="machine.slice",
        read=readers.machine,
        id="my-box",
        name="my-box",
    ),
    CgroupPattern(
        "nspawn",
        "/machine.slice/systemd-nspawn@box.service/payload/init.scope",
        "systemd-nspawn@",
        ".service",
        read=readers.machine,
        id="box",
        name="box",
    ),
    # systemd-nspawn from a shell: systemd 262, older ones with --register=no
    CgroupPattern(
        "nspawn",
        "/machine.slice/my-box.scope/payload",
        suffix=".scope",
        under=("machine.slice",),
        above="payload",
        read=readers.machine,
        id="my-box",
        name="my-box",
    ),
    # Nomad's exec and raw_exec: 1.7 and cgroup v2, then cgroup v1, then the oldest
    CgroupPattern(
        "nomad",
        f"/nomad.slice/share.slice/{_ALLOC}.web.scope",
        suffix=".scope",
        read=readers.nomad,
        id=f"{_ALLOC}.web",
        name="web",
    ),
    CgroupPattern(
        "nomad",
        f"/nomad/share/{_ALLOC}.web",
        under=("nomad", "*"),
        place=ROOT,
        read=readers.nomad,
        id=f"{_ALLOC}.web",
        name="web",
    ),
    CgroupPattern(
        "nomad",
        f"/nomad/{_ALLOC}.web",
        under=("nomad",),
        place=ROOT,
        read=readers.nomad,
        id=f"{_ALLOC}.web",
        name="web",
    ),
    CgroupPattern(
        "nomad",
        f"/nomad/{_ALLOC}",
        under=("nomad",),
        place=ROOT,
        read=readers.allocation,
        id=_ALLOC,
    ),
    # Slurm, cgroup v2: slurmstepd's scope has the node's name before it where several run there.
    # Cgroup v1 (Debian's prepends the node), which has the user. path.py adds step and task.
    CgroupPattern(
        "slurm",
        "/system.slice/slurmstepd.scope/job_42/step_0/user/task_0",
        under=("*slurmstepd.scope",),
        read=readers.slurm,
        id="job_42/step_0/task_0",
        name="job_42/step_0/task_0",
    ),
    CgroupPattern(
        "slurm",
        "/system.slice/node01_slurmstepd.scope/s2K9QXZ7B4M00/step_batch/user/task_special",
        under=("*slurmstepd.scope",),
        read=readers.slurm,
        id="s2K9QXZ7B4M00/step_batch/task_special",
        name="s2K9QXZ7B4M00/step_batch/task_special",
    ),
    CgroupPattern(
        "slurm",
        "/slurm/uid_1001/job_42/step_extern/task_0",
        under=("slurm", "uid_*"),
        place=ROOT,
        read=readers.slurm,
        id="job_42/step_extern/task_0",
        name="job_42/step_extern/task_0",
    ),
    CgroupPattern(
        "slurm",
        "/slurm_node01/uid_1001/job_42/step_0/task_0",
        under=("slurm_*", "uid_*"),
        place=ROOT,
        read=readers.slurm,
        id="job_42/step_0/task_0",
        name="job_42/step_0/task_0",
    ),
)
