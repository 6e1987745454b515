# SPDX-License-Identifier: Apache-2.0
"""Every form a cgroup path takes, as the runtimes write it; and that none makes `parse` raise."""

from __future__ import annotations

import time
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.identity.cgroup.path import CgroupIdentity, own_cgroup, parse
from container_oomkill.identity.cgroup.patterns import PATTERNS, CgroupPattern
from container_oomkill.identity.cgroup.systemd import lasting_name, unescape

C = "4b1d" * 16
D = "7e0f" * 16
UID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
UID_ = UID.replace("-", "_")
STATIC = "d41d8cd98f00b204e9800998ecf8427e"
ALLOC = "9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8"
USER = "/user.slice/user-1000.slice/user@1000.service"
PODS = "/kubepods.slice/kubepods-burstable.slice"
KIND = f"/docker/{D}/kubelet.slice/kubelet-kubepods.slice"


@pytest.mark.parametrize("form", PATTERNS, ids=[form.example for form in PATTERNS])
def test_each_row_by_its_own_example(form: CgroupPattern) -> None:
    found = parse(form.example)
    assert found.runtime == form.runtime
    assert found.container_id == form.id
    assert found.name == form.name
    assert found.container_cgroup is not None
    assert form.example.startswith(found.container_cgroup)


NEAR_MISSES = [
    # below a user's own manager there is nothing of the system's
    f"{USER}/lxc.payload.bank",
    f"{USER}/machine.slice/machine-bank.scope",
    f"{USER}/machine.slice/systemd-nspawn@bank.service/payload",
    f"{USER}/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{C}.scope",
    f"{USER}/crio-{C}.scope",
    f"{USER}/nomad.slice/share.slice/{ALLOC}.web.scope",
    f"{USER}/slurm/uid_1/job_42",
    f"{USER}/garden/{ALLOC}",
    "/capsule.slice/capsule@build.service/lxc.payload.bank",
    # systemd makes a scope in slices alone
    f"/system.slice/shop.service/docker-{C}.scope",
    f"/system.slice/foo/docker-{C}.scope",
    f"/system.slice/shop.service/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{C}.scope",
    # no runtime's unit
    f"/system.slice/shop.service/docker/{C}",
    f"/system.slice/shop.service/{C}",
    f"/system.slice/shop.service/kubepods/pod{UID}/{C}",
    f"/system.slice/shop.service/libpod_parent/libpod-{C}",
    f"/system.slice/shop.service/x.slice:docker:{C}",
    # LXC, Nomad, containerd, faasd, Garden, Slurm v1 start at the root
    "/system.slice/shop.service/lxc.payload.web",
    "/a/lxc/web",
    f"/a/nomad/share/{ALLOC}.web",
    "/a/openfaas-fn/figlet",
    f"/system.slice/shop.service/garden/{ALLOC}",
    f"/garden/{ALLOC[:-1]}",
    f"/garden/ugly/{ALLOC}",
    f"/a/{ALLOC}",
    "/a/slurm/uid_1/job_42",
    "/slurm/job_42",
    "/slurm/uid_1/job_x",
    "/slurm/uid_1/step_0",
    "/slurmish/uid_1/job_42",
    # Slurm's own, beside the jobs
    "/system.slice/slurmstepd.scope/system",
    "/system.slice/slurmstepd.scope/job_",
    "/system.slice/slurmstepd.scope/job_\u0664",
    "/system.slice/slurmstepd.scope/sjob",
    "/system.slice/n1_slurmstepd.scope/s2k9qxz7b4m00",
    "/system.slice/shop.service/slurmstepd.scope/job_42",
    # machined's
    "/system.slice/my-box.scope/payload",
    "/machine.slice/my-box.scope",
    "/machine.slice/my-box.scope/other",
    "/system.slice/shop.service/machine.slice/machine-box.scope",
    "/system.slice/shop.service/systemd-nspawn@box.service/payload",
    f"/system.slice/shop.service/{ALLOC}.web.scope",
    # numbers that are none
    "/system.slice/crun-buildah-buildah.scope/container",
    "/system.slice/crun-buildah-buildahx1.scope/container",
    "/system.slice/apptainer-.scope",
    "/system.slice/apptainer-47a.scope",
    "/system.slice/singularity-x.scope",
    f"/kubepods/kata_{C[:-1]}",
    f"/kata-overhead.slice/runtime-rs-{C}",
    f"/system.slice/runtime-rs-{C}.scope",
]


@pytest.mark.parametrize("path", NEAR_MISSES)
def test_what_looks_like_a_container_and_is_none(path: str) -> None:
    found = parse(path)
    assert (found.container_id, found.pod_uid, found.container_cgroup) == (None, None, None)


NESTED = {
    f"/docker/{D}/lxc.payload.web": ("web", f"/docker/{D}/lxc.payload.web"),
    f"/machine.slice/libpod-{D}.scope/container/system.slice/docker-{C}.scope": (C, None),
    f"/lxc.payload.a/system.slice/docker-{C}.scope": (C, None),
    "/lxc/101/ns/lxc/web": ("web", None),
    f"/machine.slice/my-box.scope/payload/system.slice/docker-{C}.scope": (C, None),
    f"/kubepods/pod{UID}/{D}/garden/{ALLOC}": (ALLOC, None),
    f"/system.slice/garden.service/garden/good/{ALLOC}": (ALLOC, None),
    f"/system.slice/snap.microk8s.daemon-kubelite.service/kubepods/pod{UID}/{C}": (C, None),
}


@pytest.mark.parametrize("path", NESTED)
def test_each_container_is_a_tree_of_its_own(path: str) -> None:
    container_id, cgroup = NESTED[path]
    found = parse(path)
    assert (found.container_id, found.container_cgroup) == (container_id, cgroup or path)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        (f"/docker/{C}/init.scope", f"/docker/{C}"),
        ("/system.slice/pool.service/w1", "/system.slice/pool.service"),
        (f"{USER}/app.slice/web.service/x", f"{USER}/app.slice/web.service"),
        (f"{USER}/init.scope", USER),
        ("/system.slice", None),
        ("/mine/hog", None),
        ("…/system.slice/pool.service", None),
        ("/system.slice/pool.service/…/w1", "/system.slice/pool.service"),
    ],
)
def test_own_cgroup(path: str, own: str | None) -> None:
    assert own_cgroup(path) == own


def has(**expected: str | None) -> dict[str, str | None]:
    """Give every field: what is not named is None."""
    return {field.name: None for field in fields(CgroupIdentity)} | expected


FIXTURES = {
    # Docker
    f"/docker/{C}": has(runtime="docker", container_id=C, container_cgroup=f"/docker/{C}"),
    f"/system.slice/docker-{C}.scope": has(
        runtime="docker",
        container_id=C,
        container_cgroup=f"/system.slice/docker-{C}.scope",
    ),
    f"/batch.slice/batch-night.slice/docker-{C}.scope": has(
        runtime="docker",
        container_id=C,
        container_cgroup=f"/batch.slice/batch-night.slice/docker-{C}.scope",
    ),
    f"/batch/{C}": has(container_id=C, container_cgroup=f"/batch/{C}"),
    f"{USER}/user.slice/docker-{C}.scope": has(
        runtime="docker",
        container_id=C,
        container_cgroup=f"{USER}/user.slice/docker-{C}.scope",
        unit="user@1000.service",
    ),
    # Docker on cgroupfs, told a systemd slice
    f"/system.slice/docker.service/system.slice:docker:{C}": has(
        runtime="docker",
        container_id=C,
        container_cgroup=f"/system.slice/docker.service/system.slice:docker:{C}",
        unit="docker.service",
    ),
    # systemd inside a container
    f"/docker/{C}/init.scope": has(
        runtime="docker", container_id=C, container_cgroup=f"/docker/{C}"
    ),
    f"/docker/{C}/system.slice/nginx.service": has(
        runtime="docker", container_id=C, container_cgroup=f"/docker/{C}"
    ),
    f"/docker/{C}/supervisor": has(
        runtime="docker", container_id=C, container_cgroup=f"/docker/{C}"
    ),
    # Kubernetes with the systemd driver: three QoS classes, a static pod, three runtimes
    f"{PODS}/kubepods-burstable-pod{UID_}.slice/cri-containerd-{C}.scope": has(
        runtime="containerd",
        container_id=C,
        pod_uid=UID,
        qos="Burstable",
        container_cgroup=f"{PODS}/kubepods-burstable-pod{UID_}.slice/cri-containerd-{C}.scope",
        pod_cgroup=f"{PODS}/kubepods-burstable-pod{UID_}.slice",
    ),
    f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice"
    f"/crio-{C}.scope/container": has(
        runtime="crio",
        container_id=C,
        pod_uid=UID,
        qos="BestEffort",
        container_cgroup="/kubepods.slice/kubepods-besteffort.slice"
        f"/kubepods-besteffort-pod{UID_}.slice/crio-{C}.scope",
        pod_cgroup=f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice",
    ),
    f"/kubepods.slice/kubepods-pod{UID_}.slice/docker-{C}.scope": has(
        runtime="docker",
        container_id=C,
        pod_uid=UID,
        qos="Guaranteed",
        container_cgroup=f"/kubepods.slice/kubepods-pod{UID_}.slice/docker-{C}.scope",
        pod_cgroup=f"/kubepods.slice/kubepods-pod{UID_}.slice",
    ),
    f"{PODS}/kubepods-burstable-pod{STATIC}.slice/crio-{C}.scope": has(
        runtime="crio",
        container_id=C,
        pod_uid=STATIC,
        qos="Burstable",
        container_cgroup=f"{PODS}/kubepods-burstable-pod{STATIC}.slice/crio-{C}.scope",
        pod_cgroup=f"{PODS}/kubepods-burstable-pod{STATIC}.slice",
    ),
    # a pod's own cgroup, as the domain of a pod's limit
    f"{PODS}/kubepods-burstable-pod{UID_}.slice": has(
        runtime="systemd",
        pod_uid=UID,
        qos="Burstable",
        pod_cgroup=f"{PODS}/kubepods-burstable-pod{UID_}.slice",
        unit=f"kubepods-burstable-pod{UID_}.slice",
        name=f"kubepods-burstable-pod{UID_}.slice",
    ),
    # conmon is no container
    f"{PODS}/kubepods-burstable-pod{UID_}.slice/crio-conmon-{C}.scope": has(
        runtime="systemd",
        pod_uid=UID,
        qos="Burstable",
        pod_cgroup=f"{PODS}/kubepods-burstable-pod{UID_}.slice",
        unit=f"crio-conmon-{C}.scope",
        name=f"crio-conmon-{C}.scope",
    ),
    f"/kubepods/burstable/pod{UID}/crio-conmon-{C}": has(
        pod_uid=UID, qos="Burstable", pod_cgroup=f"/kubepods/burstable/pod{UID}"
    ),
    # containerd on cgroupfs, told the kubelet's slice
    f"/system.slice/containerd.service/kubepods-pod{UID_}.slice:cri-containerd:{C}": has(
        runtime="containerd",
        container_id=C,
        pod_uid=UID,
        qos="Guaranteed",
        container_cgroup="/system.slice/containerd.service"
        f"/kubepods-pod{UID_}.slice:cri-containerd:{C}",
        unit="containerd.service",
    ),
    # Kubernetes with the cgroupfs driver; also cgroup v1, k3s, GKE
    f"/kubepods/burstable/pod{UID}/{C}": has(
        container_id=C,
        pod_uid=UID,
        qos="Burstable",
        container_cgroup=f"/kubepods/burstable/pod{UID}/{C}",
        pod_cgroup=f"/kubepods/burstable/pod{UID}",
    ),
    f"/kubepods/besteffort/pod{STATIC}/{C}": has(
        container_id=C,
        pod_uid=STATIC,
        qos="BestEffort",
        container_cgroup=f"/kubepods/besteffort/pod{STATIC}/{C}",
        pod_cgroup=f"/kubepods/besteffort/pod{STATIC}",
    ),
    f"/kubepods/pod{UID}/crio-{C}": has(
        runtime="crio",
        container_id=C,
        pod_uid=UID,
        qos="Guaranteed",
        container_cgroup=f"/kubepods/pod{UID}/crio-{C}",
        pod_cgroup=f"/kubepods/pod{UID}",
    ),
    f"/pod{UID}/{C}": has(container_id=C, container_cgroup=f"/pod{UID}/{C}"),
    # kind and minikube: a node that is a container
    f"{KIND}/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{UID_}.slice"
    f"/cri-containerd-{C}.scope": has(
        runtime="containerd",
        container_id=C,
        outer_container_id=D,
        pod_uid=UID,
        qos="BestEffort",
        container_cgroup=f"{KIND}/kubelet-kubepods-besteffort.slice"
        f"/kubelet-kubepods-besteffort-pod{UID_}.slice/cri-containerd-{C}.scope",
        pod_cgroup=f"{KIND}/kubelet-kubepods-besteffort.slice"
        f"/kubelet-kubepods-besteffort-pod{UID_}.slice",
    ),
    f"/docker/{D}/kubelet/kubepods/pod{UID}/{C}": has(
        container_id=C,
        outer_container_id=D,
        pod_uid=UID,
        qos="Guaranteed",
        container_cgroup=f"/docker/{D}/kubelet/kubepods/pod{UID}/{C}",
        pod_cgroup=f"/docker/{D}/kubelet/kubepods/pod{UID}",
    ),
    f"/docker/{D}/system.slice/containerd.service": has(
        runtime="docker", container_id=D, container_cgroup=f"/docker/{D}"
    ),
    # minikube with the docker driver, on a host with the systemd driver
    f"/system.slice/docker-{D}.scope/kubepods.slice/kubepods-burstable.slice"
    f"/kubepods-burstable-pod{UID_}.slice/docker-{C}.scope": has(
        runtime="docker",
        container_id=C,
        outer_container_id=D,
        pod_uid=UID,
        qos="Burstable",
        container_cgroup=f"/system.slice/docker-{D}.scope/kubepods.slice/kubepods-burstable.slice"
        f"/kubepods-burstable-pod{UID_}.slice/docker-{C}.scope",
        pod_cgroup=f"/system.slice/docker-{D}.scope/kubepods.slice/kubepods-burstable.slice"
        f"/kubepods-burstable-pod{UID_}.slice",
    ),
    # k3s as a unit, on cgroup v1
    f"/system.slice/k3s.service/kubepods/besteffort/pod{UID}/{C}": has(
        container_id=C,
        pod_uid=UID,
        qos="BestEffort",
        container_cgroup=f"/system.slice/k3s.service/kubepods/besteffort/pod{UID}/{C}",
        pod_cgroup=f"/system.slice/k3s.service/kubepods/besteffort/pod{UID}",
        unit="k3s.service",
    ),
    # Docker in Docker in a pod: the pod is the outer container's
    f"/kubepods/pod{UID}/{D}/docker/{C}": has(
        runtime="docker",
        container_id=C,
        outer_container_id=D,
        pod_uid=UID,
        qos="Guaranteed",
        container_cgroup=f"/kubepods/pod{UID}/{D}/docker/{C}",
        pod_cgroup=f"/kubepods/pod{UID}",
    ),
    # a pod below a container is not the one the container is in
    f"/kubepods/pod{UID}/{C}/kubepods/burstable/pod{STATIC}": has(
        container_id=C,
        pod_uid=UID,
        qos="Guaranteed",
        container_cgroup=f"/kubepods/pod{UID}/{C}",
        pod_cgroup=f"/kubepods/pod{UID}",
    ),
    f"/docker/{D}/kubelet/kubepods/pod{UID}": has(
        runtime="docker", container_id=D, container_cgroup=f"/docker/{D}"
    ),
    # Podman
    f"/machine.slice/libpod-{C}.scope/container": has(
        runtime="podman", container_id=C, container_cgroup=f"/machine.slice/libpod-{C}.scope"
    ),
    f"{USER}/user.slice/libpod-{C}.scope/container": has(
        runtime="podman",
        container_id=C,
        container_cgroup=f"{USER}/user.slice/libpod-{C}.scope",
        unit="user@1000.service",
    ),
    f"/machine.slice/machine-libpod_pod_{D}.slice/libpod-{C}.scope": has(
        runtime="podman",
        container_id=C,
        pod_uid=D,
        container_cgroup=f"/machine.slice/machine-libpod_pod_{D}.slice/libpod-{C}.scope",
        pod_cgroup=f"/machine.slice/machine-libpod_pod_{D}.slice",
    ),
    f"{USER}/user.slice/user-libpod_pod_{D}.slice/libpod-{C}.scope/container": has(
        runtime="podman",
        container_id=C,
        pod_uid=D,
        container_cgroup=f"{USER}/user.slice/user-libpod_pod_{D}.slice/libpod-{C}.scope",
        pod_cgroup=f"{USER}/user.slice/user-libpod_pod_{D}.slice",
        unit="user@1000.service",
    ),
    f"/libpod_parent/{D}/libpod-{C}": has(
        runtime="podman",
        container_id=C,
        pod_uid=D,
        container_cgroup=f"/libpod_parent/{D}/libpod-{C}",
        pod_cgroup=f"/libpod_parent/{D}",
    ),
    f"/libpod_parent/libpod-{C}": has(
        runtime="podman", container_id=C, container_cgroup=f"/libpod_parent/libpod-{C}"
    ),
    f"/system.slice/web.service/libpod-payload-{C}": has(
        runtime="podman",
        container_id=C,
        container_cgroup=f"/system.slice/web.service/libpod-payload-{C}",
        unit="web.service",
    ),
    f"/machine.slice/libpod-conmon-{C}.scope": has(
        runtime="systemd", unit=f"libpod-conmon-{C}.scope", name=f"libpod-conmon-{C}.scope"
    ),
    f"/libpod_parent/conmon/libpod-conmon-{C}": has(),
    # ECS
    f"/ecs/{STATIC}/{C}": has(
        runtime="docker", container_id=C, container_cgroup=f"/ecs/{STATIC}/{C}"
    ),
    f"/ecstasks.slice/ecstasks-{STATIC}.slice/docker-{C}.scope": has(
        runtime="docker",
        container_id=C,
        container_cgroup=f"/ecstasks.slice/ecstasks-{STATIC}.slice/docker-{C}.scope",
    ),
    # ctr: two free texts, believed only at the root below a namespace of containerd's
    "/default/ctroom1": has(
        runtime="containerd",
        container_id="ctroom1",
        container_cgroup="/default/ctroom1",
        name="ctroom1",
    ),
    f"/default/{C}": has(runtime="containerd", container_id=C, container_cgroup=f"/default/{C}"),
    "/staging/web": has(),
    "/a/default/web": has(),
    "…/default/web": has(),
    "/default": has(),
    "/default/.web": has(),
    "/default/" + "a" * 77: has(),
    # LXC and relatives
    "/lxc.payload.web/system.slice/nginx.service": has(
        runtime="lxc", container_id="web", container_cgroup="/lxc.payload.web", name="web"
    ),
    "/lxc.payload.default_web-1": has(
        runtime="lxc",
        container_id="default_web-1",
        container_cgroup="/lxc.payload.default_web-1",
        name="default_web-1",
    ),
    "/lxc.monitor.web": has(),
    "/lxc.monitor/web": has(),
    "/lxc.payload.": has(),
    "/lxc/101/ns": has(runtime="lxc", container_id="101", container_cgroup="/lxc/101", name="101"),
    "/lxc/lxc/ns": has(runtime="lxc", container_id="lxc", container_cgroup="/lxc/lxc", name="lxc"),
    # machined
    "/machine.slice/systemd-nspawn@my\\x2dbox.service/payload/init.scope": has(
        runtime="nspawn",
        container_id="my-box",
        container_cgroup="/machine.slice/systemd-nspawn@my\\x2dbox.service",
        name="my-box",
    ),
    "/machine.slice/systemd-nspawn@box.service/supervisor": has(
        runtime="systemd", unit="systemd-nspawn@box.service", name="systemd-nspawn@box.service"
    ),
    "/machine.slice/machine-qemu\\x2d12\\x2dmy\\x2dvm.scope": has(
        runtime="qemu",
        container_id="qemu-12-my-vm",
        container_cgroup="/machine.slice/machine-qemu\\x2d12\\x2dmy\\x2dvm.scope",
        name="my-vm",
    ),
    "/machine.slice/machine-lab.slice/machine-box.scope/payload": has(
        runtime="nspawn",
        container_id="box",
        container_cgroup="/machine.slice/machine-lab.slice/machine-box.scope",
        name="box",
    ),
    # systemd-run --unit=machine-learning.scope: nobody's machine
    f"{USER}/app.slice/machine-learning.scope": has(
        runtime="systemd", unit="machine-learning.scope", name="machine-learning.scope"
    ),
    # Nomad
    f"/nomad.slice/reserve.slice/{ALLOC}.web.v2.scope": has(
        runtime="nomad",
        container_id=f"{ALLOC}.web.v2",
        container_cgroup=f"/nomad.slice/reserve.slice/{ALLOC}.web.v2.scope",
        name="web.v2",
    ),
    # units
    "/system.slice/nginx.service": has(
        runtime="systemd", unit="nginx.service", name="nginx.service"
    ),
    "/system.slice/nginx.service/worker/3": has(
        runtime="systemd", unit="nginx.service", name="nginx.service"
    ),
    "/system.slice/systemd-fsck@dev-disk-by\\x2dlabel-x.service": has(
        runtime="systemd",
        unit="systemd-fsck@dev-disk-by\\x2dlabel-x.service",
        name="systemd-fsck@dev-disk-by-label-x.service",
    ),
    f"{USER}/app.slice/app-gnome-firefox-2211.scope": has(
        runtime="systemd",
        unit="app-gnome-firefox-2211.scope",
        name="app-gnome-firefox-2211.scope",
    ),
    f"{USER}/init.scope": has(
        runtime="systemd", unit="user@1000.service", name="user@1000.service"
    ),
    "/user.slice/user-1000.slice/session-3.scope": has(
        runtime="systemd", unit="session-3.scope", name="session-3.scope"
    ),
    # what a service or a user's unit makes below its own cgroup
    "/system.slice/ci.service/sshd.service/session-3.scope": has(
        runtime="systemd", unit="ci.service", name="ci.service"
    ),
    "/system.slice/ci.service/user@0.service": has(
        runtime="systemd", unit="ci.service", name="ci.service"
    ),
    f"{USER}/app.slice/web.service/other.service": has(
        runtime="systemd", unit="web.service", name="web.service"
    ),
    "/init.scope": has(runtime="systemd", unit="init.scope", name="init.scope"),
    "/system.slice": has(runtime="systemd", unit="system.slice", name="system.slice"),
    # nothing
    "": has(),
    "/": has(),
    "…/": has(),
    "/mine/hog": has(),
    # ids that are not whole, or not ids
    f"/docker/{C[:-1]}": has(),
    f"/docker/{C}0": has(),
    f"/docker/{C.upper()}": has(),
    f"/mine/docker-{C}.scop": has(),
    f"/x.slice:docker:{C[1:]}": has(),
    f"/default/a:9f1a2b3c:{ALLOC[9:]}.b": has(),
    # cut at the root
    f"…/docker-{C}.scope": has(
        runtime="docker", container_id=C, container_cgroup=f"…/docker-{C}.scope"
    ),
    f"…/{C}": has(container_id=C, container_cgroup=f"…/{C}"),
    f"…{C}": has(),
    f"…-{C}.scope/init.scope": has(),
    f"…/{C[4:]}": has(),
    "…/system.slice/nginx.service": has(),
    f"…/{D}/libpod-{C}": has(
        runtime="podman",
        container_id=C,
        pod_uid=D,
        container_cgroup=f"…/{D}/libpod-{C}",
        pod_cgroup=f"…/{D}",
    ),
    f"…/kubepods-pod{UID_}.slice/cri-containerd-{C}.scope": has(
        runtime="containerd",
        container_id=C,
        pod_uid=UID,
        qos="Guaranteed",
        container_cgroup=f"…/kubepods-pod{UID_}.slice/cri-containerd-{C}.scope",
        pod_cgroup=f"…/kubepods-pod{UID_}.slice",
    ),
    f"…/pod{UID}/{C}": has(
        container_id=C,
        pod_uid=UID,
        container_cgroup=f"…/pod{UID}/{C}",
        pod_cgroup=f"…/pod{UID}",
    ),
    f"…/burstable/pod{UID}/{C}": has(
        container_id=C,
        pod_uid=UID,
        qos="Burstable",
        container_cgroup=f"…/burstable/pod{UID}/{C}",
        pod_cgroup=f"…/burstable/pod{UID}",
    ),
}


@pytest.mark.parametrize("path", FIXTURES)
def test_path(path: str) -> None:
    found = parse(path)
    assert {field.name: getattr(found, field.name) for field in fields(found)} == FIXTURES[path]


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("a\\x2db", "a-b"),
        ("caf\\xc3\\xa9", "café"),
        ("a\\x0ab", "a\\x0ab"),  # a line break in a name is nobody's friend
        ("a\\xffb", "a\\xffb"),
        ("a\\x2", "a\\x2"),
        ("\\x\\x2d", "\\x-"),
        ("\\xzz\\x2D", "\\xzz\\x2D"),
        ("\\x5cx2d", "\\x2d"),
    ],
)
def test_unescape(raw: str, plain: str) -> None:
    assert unescape(raw) == plain


@pytest.mark.parametrize(
    ("unit", "lasting"),
    [
        ("run-p4711-i4712.scope", "run-*.scope"),
        ("run-r5d41402abc4b2a76b9719d911017c592.scope", "run-*.scope"),
        ("run-u12.service", "run-*.service"),
        ("session-3.scope", "session-*.scope"),
        ("session-c2.scope", "session-*.scope"),
        ("app-gnome-firefox-2211.scope", "app-gnome-firefox-*.scope"),
        (f"vte-spawn-{ALLOC}.scope", "vte-spawn-*.scope"),
        (f"libpod-conmon-{C}.scope", "libpod-conmon-*.scope"),
        ("sshd@7-10.0.0.1:22-10.0.0.2:5000.service", "sshd@*.service"),
        ("systemd-coredump@3-4711-0.service", "systemd-coredump@*.service"),
        ("nginx.service", None),
        ("user@1000.service", None),
        ("getty@tty1.service", None),
        ("pool-1.service", None),
        ("init.scope", None),
        ("machine-learning.scope", None),
        ("4711.scope", None),
        ("decade.scope", None),
        ("run-4711.mount", None),
        ("", None),
    ],
)
def test_units_with_a_new_name_each_time_have_one_in_common(unit: str, lasting: str | None) -> None:
    assert lasting_name(unit) == lasting


WORDS = f"""/ … {C} {D} docker-{C}.scope docker kubepods pod{UID} lxc x:y:z {ALLOC} libpod-
    libpod_parent machine- .scope \\x2d \\xff default supervisor kubepods-pod{UID_}.slice
    buildkit . é job_1 init.scope user.slice user-1.slice user@1.service slurm uid_1 step_0
    system.slice slurmstepd.scope garden {ALLOC}.x lxc.payload.a_b machine.slice payload"""
PIECES = st.sampled_from([*WORDS.split(), "\n", "\0"])


@given(st.text() | st.lists(PIECES).map("".join) | st.lists(PIECES).map("/".join))
def test_parse_never_raises_and_never_invents(path: str) -> None:
    found = parse(path)
    plain = unescape(path)
    for words in (found.container_id, found.outer_container_id, found.name, found.namespace):
        for word in (words or "").split("/"):  # a Slurm job, its step, its task
            assert word in path or word in plain
    for prefix in (found.container_cgroup, found.pod_cgroup):
        assert prefix is None or path == prefix or path.startswith(prefix + "/")
    if found.container_id:
        assert found.container_cgroup
        word, *_ = found.container_id.split("/")
        assert word in unescape(found.container_cgroup) + found.container_cgroup
    if found.pod_uid:
        assert found.pod_uid in path + path.replace("_", "-")


@pytest.mark.parametrize("piece", ["/", "/-pod", "\\x2d", "kubepods-", "a:"])
def test_time_grows_with_the_length_only(piece: str) -> None:
    """Four times as long takes four times as long, and with the length's square sixteen times."""
    short = piece * (16384 // len(piece))
    assert seconds(short * 4) < 9 * seconds(short)


def seconds(path: str) -> float:
    """CPU time that the path takes: the least of some, for caches have others' data as well."""
    took = []
    for _ in range(5):
        started = time.thread_time()
        parse("/" + path)
        parse("/machine-" + path + ".scope")
        took.append(time.thread_time() - started)
    return min(took)
