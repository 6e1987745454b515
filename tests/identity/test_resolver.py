# SPDX-License-Identifier: Apache-2.0
"""Whose memory it was: the victim's container, whatever the domain and the trigger are."""

from __future__ import annotations

from typing import Any

import pytest

from container_oomkill.identity.metadata import ContainerMetadata
from container_oomkill.identity.resolver import Resolver, resolve
from container_oomkill.incident.model import Container, Domain, Incident, Oom, Trigger, Victim

VICTIM = "4b1d" * 16
OTHER = "7e0f" * 16
UID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
POD = f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice"


def incident(**changes: Any) -> Incident:
    values: dict[str, Any] = {
        "time": 1.0,
        "boot_ns": 1,
        "sequence": 1,
        "node": "node",
        "kernel": "6.12",
        "hook": "fentry",
        "scope": None,
        "inferred": False,
        "message": None,
        "verdict": None,
        "container": Container(),
        "domain": Domain(cgroup=POD),
        "oom": Oom(),
        "trigger": Trigger(cgroup=f"{POD}/cri-containerd-{OTHER}.scope"),
        "victims": (Victim(cgroup=f"{POD}/cri-containerd-{VICTIM}.scope"),),
    }
    return Incident(**values | changes)


def test_container_is_the_victims_and_the_trigger_has_its_own() -> None:
    found = resolve(incident())
    assert found.container == Container(
        id=VICTIM, runtime="containerd", pod_uid=UID, unresolved="no_state"
    )
    assert found.trigger.container_id == OTHER


def test_members_of_a_group_kill_do_not_change_the_container() -> None:
    victims = (
        Victim(cgroup=f"/docker/{VICTIM}"),
        Victim(cgroup=f"/docker/{OTHER}"),
    )
    assert resolve(incident(victims=victims)).container.id == VICTIM


def test_a_service_is_named_and_has_no_id() -> None:
    found = resolve(incident(victims=(Victim(cgroup="/system.slice/nginx.service"),)))
    assert found.container == Container(name="nginx.service", runtime="systemd")


def test_unknown_stays_unknown() -> None:
    before = incident(victims=(Victim(),), trigger=Trigger())
    assert resolve(before) == before
    before = incident(victims=(), trigger=Trigger(cgroup="/"))
    assert resolve(before) == before
    before = incident(victims=(Victim(cgroup="/"),), trigger=Trigger(cgroup="/mine"))
    assert resolve(before) == before


def test_what_a_recording_already_knows_is_kept_if_the_path_is_not_known() -> None:
    container = Container(id=VICTIM, name="web")
    assert resolve(incident(container=container, victims=(Victim(),))).container == container


class Names:
    """What the runtimes' state would say; and what it was asked."""

    def __init__(self, *known: ContainerMetadata) -> None:
        self.known = {one.key(): one for one in known}
        self.asked: list[str] = []
        self.damaged: dict[str, str] = {}

    def lookup(self, container_id: str, owner: int = 0) -> ContainerMetadata | str:
        self.asked.append(container_id)
        found = self.known.get((owner, container_id))
        return found or self.damaged.get(container_id, "not_found")


def container(path: str, *known: ContainerMetadata) -> Container:
    return Resolver(Names(*known)).container(path)


def test_names_fill_what_the_path_does_not_say() -> None:
    known = ContainerMetadata(VICTIM, "containerd", 0, "app", "cart:1.2", "cart-7d9f4", "shop", UID)
    assert container(f"/kubepods/pod{UID}/{VICTIM}", known) == Container(
        id=VICTIM,
        name="app",
        runtime="containerd",
        image="cart:1.2",
        pod="cart-7d9f4",
        namespace="shop",
        pod_uid=UID,
    )


def test_state_of_another_pod_is_not_believed() -> None:
    known = ContainerMetadata(
        VICTIM, "containerd", 0, "app", None, "bank-0", "bank", UID.replace("0", "1")
    )
    found = container(f"/kubepods/pod{UID}/{VICTIM}", known)
    assert (found.pod, found.namespace, found.pod_uid) == (None, None, UID)


def test_unknown_to_the_runtimes_is_known_by_id() -> None:
    assert container(f"/docker/{VICTIM}") == Container(
        id=VICTIM, runtime="docker", unresolved="not_found"
    )
    names = Names()
    found = Resolver(names).container("/lxc.payload.web")
    assert (found.name, names.asked) == ("web", [])


def test_why_there_is_no_name() -> None:
    """What has no id needs none; an id that people chose is one."""
    assert container("/system.slice/nginx.service").unresolved is None
    assert container("/").unresolved is None
    assert container("/mine/hog").unresolved == "unknown_form"
    assert container("/default/web-1").unresolved is None
    allocation = "9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8"
    assert container(f"/nomad/{allocation}").unresolved == "no_state"
    assert (
        container(f"/docker/{VICTIM}", ContainerMetadata(VICTIM, "docker")).unresolved == "no_name"
    )
    assert (
        container(f"/docker/{VICTIM}", ContainerMetadata(VICTIM, "docker", name="a")).unresolved
        is None
    )


KIND = f"/docker/{OTHER}/kubelet/kubepods/pod{UID}/{VICTIM}"


def test_inside_a_kind_node_the_pods_are_known() -> None:
    found = container(
        KIND, ContainerMetadata(VICTIM, "containerd", 0, "app", pod="cart", namespace="shop")
    )
    assert (found.id, found.name, found.pod, found.pod_uid) == (VICTIM, "app", "cart", UID)


def test_on_its_host_a_kind_node_is_a_container() -> None:
    found = container(KIND, ContainerMetadata(OTHER, "docker", 0, "kind-worker"))
    assert found == Container(id=OTHER, name="kind-worker", runtime="docker")


def test_a_kill_cannot_be_passed_on_to_another_container() -> None:
    """A privileged container makes a cgroup with a name as if it were another's."""
    attacker, bank = (
        ContainerMetadata(OTHER, "docker", 0, "attacker"),
        ContainerMetadata(VICTIM, "docker", 0, "bank"),
    )
    assert container(f"/docker/{OTHER}/docker/{VICTIM}", attacker, bank).name == "attacker"
    path = f"/docker/{OTHER}/x/system.slice/docker-{VICTIM}.scope"
    assert container(path, attacker, bank).name == "attacker"
    path = f"/docker/{OTHER}/lxc/x/docker/{'0' * 64}/docker/{VICTIM}"
    assert container(path, attacker, bank).name == "attacker"
    cut = container(f"…/docker-{VICTIM}.scope", attacker, bank)
    assert (cut.id, cut.name, cut.unresolved) == (VICTIM, None, "path_cut")
    cut = container("…/lxc.payload.bank", attacker, bank)
    assert (cut.id, cut.name, cut.unresolved) == (None, None, "path_cut")


@pytest.mark.parametrize(
    ("outer", "name", "runtime"),
    [
        ("/lxc.payload.web", "web", "lxc"),
        ("/lxc/101/ns", "101", "lxc"),
        ("/machine.slice/systemd-nspawn@box.service/payload", "box", "nspawn"),
        ("/default/web-1", "web-1", "containerd"),
        (
            "/system.slice/slurmstepd.scope/job_42/step_0/user/task_0",
            "job_42/step_0/task_0",
            "slurm",
        ),
    ],
)
def test_nor_out_of_one_whose_name_is_in_the_path(outer: str, name: str, runtime: str) -> None:
    """An LXC container's root makes any cgroup it likes, without a right on its host."""
    names = Names(ContainerMetadata(VICTIM, "docker", 0, "bank"))
    found = Resolver(names).container(f"{outer}/system.slice/docker-{VICTIM}.scope")
    assert (found.name, found.runtime, names.asked) == (name, runtime, [])
    assert found.id == found.name


def test_nor_out_of_one_whose_state_cannot_be_read() -> None:
    """An image with labels of a megabyte makes its own container's state too big."""
    names = Names(ContainerMetadata(VICTIM, "docker", 0, "bank"))
    names.damaged[OTHER] = "too_big"
    found = Resolver(names).container(f"/docker/{OTHER}/docker/{VICTIM}")
    assert found == Container(id=OTHER, runtime="docker", unresolved="too_big")


def test_a_name_made_up_inside_an_unknown_container_is_none() -> None:
    assert container(f"/docker/{OTHER}/lxc.payload.bank") == Container(
        id=OTHER, runtime="docker", unresolved="not_found"
    )


def test_a_pod_made_up_inside_a_container_is_none() -> None:
    """Neither its uid nor what the cluster's API knows of it."""
    other = UID.replace("0", "1")

    class Told:
        def find(self, container_id: str, pod_uid: str | None) -> ContainerMetadata | None:
            bank = ContainerMetadata(container_id, "", pod="bank-0", pod_uid=other)
            return bank if pod_uid == other else None

    path = f"/kubepods/pod{UID}/{VICTIM}/kubepods/pod{other}/x"
    found = Resolver(None, [Told()]).container(path)
    assert found == Container(id=VICTIM, pod_uid=UID, unresolved="not_found")


def test_a_users_cgroups_have_the_users_names_only() -> None:
    path = f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{VICTIM}.scope"
    bank = ContainerMetadata(VICTIM, "podman", 0, "bank")
    mine = ContainerMetadata(VICTIM, "podman", 1000, "mine")
    assert container(path, bank).name is None
    assert container(path, bank, mine).name == "mine"
    session = f"/user.slice/user-1000.slice/session-3.scope/docker/{VICTIM}"
    assert container(session, bank, mine).name == "mine"
    root = f"/user.slice/user-0.slice/session-1.scope/docker/{VICTIM}"
    assert container(root, bank, mine).name == "bank"


@pytest.mark.parametrize(
    "above",
    [
        "user.slice/user-1000.slice/user@1001.service/user.slice",
        "user.slice/user-{huge}.slice/user@{huge}.service".format(huge="9" * 5000),
        "user.slice",
        "user.slice/bank.slice",
        "capsule.slice/capsule@build.service/app.slice",
    ],
)
def test_a_slice_of_users_that_is_no_one_users_has_no_names(above: str) -> None:
    bank = ContainerMetadata(VICTIM, "podman", 0, "bank")
    mine = ContainerMetadata(VICTIM, "podman", 1000, "mine")
    assert container(f"/{above}/libpod-{VICTIM}.scope", bank, mine).name is None


USER = "/user.slice/user-1000.slice/user@1000.service/user.slice"
FORGED = [
    "lxc.payload.bank",
    "lxc/bank",
    "machine.slice/machine-bank.scope/payload",
    "machine.slice/bank.scope/payload",
    "machine.slice/systemd-nspawn@bank.service/payload",
    "nomad.slice/share.slice/9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8.bank.scope",
    "nomad/share/9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8.bank",
    "default/bank",
    "openfaas-fn/bank",
    "system.slice/slurmstepd.scope/job_42/step_0/user/task_0",
    "slurm/uid_0/job_42/step_0/task_0",
    "garden/9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8",
    f"docker-{VICTIM}.scope",
    f"docker/{VICTIM}",
    f"kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{VICTIM}.scope",
    f"kubepods/pod{UID}/{VICTIM}",
    f"crio-{VICTIM}",
    f"libpod-{VICTIM}.scope",
    f"kata_overhead/{VICTIM}",
    f"system.slice:docker:{VICTIM}",
]


@pytest.mark.parametrize("made", FORGED)
@pytest.mark.parametrize(
    "above",
    [
        USER,
        f"{USER}/evil.scope",
        "/user.slice/user-1000.slice/session-3.scope",
        "/system.slice/shop.service",  # with User= and Delegate=yes
        "/system.slice/runner.scope/x",
    ],
)
def test_nobody_elses_container_is_named_where_users_make_cgroups(above: str, made: str) -> None:
    bank = ContainerMetadata(VICTIM, "docker", 0, "bank", "img", "bank-0", "bank", UID)
    path = f"{above}/{made}"
    found = container(path, bank)
    assert (found.pod, found.namespace, found.pod_uid, found.image) == (None,) * 4
    if found.name is not None:  # the unit's, and what is below it
        assert (found.id, found.runtime) == (None, "systemd")
        assert found.name.split("/")[0] in path.split("/")
    assert "bank" not in (found.name, found.service)


def test_a_scope_below_a_container_without_state_is_the_outers() -> None:
    """Whoever is root in it may make it."""
    bank = ContainerMetadata(VICTIM, "docker", 0, "bank")
    for outer in (f"/docker/{OTHER}", f"/system.slice/docker-{OTHER}.scope"):
        for inner in (f"docker/{VICTIM}", f"system.slice/docker-{VICTIM}.scope"):
            assert container(f"{outer}/{inner}", bank) == Container(
                id=OTHER, runtime="docker", unresolved="not_found"
            )


def test_a_pod_below_a_container_has_to_be_its_own() -> None:
    bank = ContainerMetadata(
        VICTIM, "containerd", 0, "bank", pod="bank-0", pod_uid=UID.replace("0", "1")
    )
    assert container(KIND, bank).name is None


def test_a_service_of_a_users_with_podman() -> None:
    """User= and --cgroups=split: the state is at that user's home."""
    path = f"/system.slice/shop.service/libpod-payload-{VICTIM}"
    mine = ContainerMetadata(VICTIM, "podman", 1000, "shop")
    resolver = Resolver(Names(mine))
    assert resolver.container(path, 1000).name == "shop"
    given = incident(victims=(Victim(cgroup=path, uid=1000),))
    assert resolver.resolve(given).container.name == "shop"
    for uid in (None, 0, 1001):
        assert resolver.container(path, uid) == Container(
            id=VICTIM, runtime="podman", service="shop.service", unresolved="not_found"
        )
    # Root's own, and nobody else's by the uid of what runs in it.
    both = Resolver(Names(mine, ContainerMetadata(VICTIM, "podman", 0, "root's")))
    assert both.container(path, 1000).name == "root's"
    other = f"/system.slice/docker-{VICTIM}.scope"
    assert resolver.container(other, 1000).name is None


@pytest.mark.parametrize(
    ("path", "name", "service", "unresolved"),
    [
        ("/system.slice/nginx.service", "nginx.service", None, None),
        ("/system.slice/pool.service/w1", "pool.service/w1", "pool.service", "unknown_form"),
        ("/system.slice/pool.service/.control", "pool.service", None, None),
        ("/system.slice/_io.service", "io.service", None, None),
        ("/system.slice/_io.service/w1", "io.service/w1", "io.service", "unknown_form"),
        ("/system.slice/pbs.service/jobs/7.head", "pbs.service/jobs/7.head", "pbs.service", "x"),
        ("/batch/job7/task_0", "batch/job7/task_0", None, "x"),
        ("/prod/web-1", "prod/web-1", None, "x"),  # ctr in a namespace of one's own
        ("/rweb", "rweb", None, "x"),  # runc run rweb
        ("/system.slice/run-p4711-i4712.scope", "run-p4711-i4712.scope", "run-*.scope", None),
        ("/system.slice/run-r0a1b2c3d4e.scope/x", "run-r0a1b2c3d4e.scope/x", "run-*.scope", "x"),
        ("/system.slice/run-u7.service", "run-u7.service", "run-*.service", None),
        (f"{USER[:-11]}/app.slice/web.service", "web.service", None, None),
        (
            "/capsule.slice/capsule@build.service/app.slice/worker.service",
            "worker.service",
            None,
            None,
        ),
        ("/capsule.slice/capsule@build.service/init.scope", "capsule@build.service", None, None),
        ("/machine.slice/my-box.scope/supervisor", "my-box.scope/supervisor", "my-box.scope", "x"),
        # Cut: what is above tells, what is below proves nothing.
        ("/system.slice/pool.service/…/w1", "pool.service", None, None),
        ("/batch/…/task_0", None, None, "path_cut"),
        ("/kubepods.slice/…/docker.service", None, None, "path_cut"),
        ("…/system.slice/nginx.service", None, None, "path_cut"),
        ("…/", None, None, "path_cut"),
    ],
)
def test_what_is_in_no_container(
    path: str, name: str | None, service: str | None, unresolved: str | None
) -> None:
    reason = "unknown_form" if unresolved == "x" else unresolved
    found = container(path)
    assert (found.id, found.name, found.service, found.unresolved) == (None, name, service, reason)


def test_two_victims_of_an_unknown_form_are_two() -> None:
    """Of one unit: its counter is one."""
    first, second = (container(f"/system.slice/pbs.service/jobs/{n}") for n in (1, 2))
    assert first.name != second.name
    assert first.service == second.service


def test_a_container_above_a_cut_is_named() -> None:
    bank = ContainerMetadata(VICTIM, "docker", 0, "bank")
    shop = ContainerMetadata(OTHER, "docker", 0, "shop")
    for below in ("x", f"docker-{VICTIM}.scope", f"docker/{VICTIM}", "lxc.payload.bank"):
        found = container(f"/system.slice/docker-{OTHER}.scope/…/{below}", bank, shop)
        assert (found.id, found.name, found.unresolved) == (OTHER, "shop", None)
        found = container(f"/system.slice/…/{below}", bank, shop)
        assert (found.id, found.name, found.unresolved) == (None, None, "path_cut")
    found = container(f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/…/x", bank)
    assert (found.pod_uid, found.unresolved) == (UID, "path_cut")


@pytest.mark.parametrize(
    ("path", "uid", "service"),
    [
        ("/system.slice/n1_slurmstepd.scope/job_42/step_0/user/task_0", 1001, "uid_1001"),
        ("/system.slice/n1_slurmstepd.scope/job_42/step_0/user/task_0", None, None),
        ("/slurm/uid_1001/job_42/step_0/task_0", None, "uid_1001"),
        ("/slurm/uid_1001/job_42/step_0/task_0", 0, "uid_1001"),
    ],
)
def test_a_slurm_job_is_counted_as_its_users(
    path: str, uid: int | None, service: str | None
) -> None:
    found = Resolver().container(path, uid)
    assert (found.name, found.service) == ("job_42/step_0/task_0", service)


def test_what_lives_for_minutes_is_counted_as_its_runtime() -> None:
    for path, service in (
        ("/docker/buildkit/x3k9f0v2m7q1w8e5r4t6y0u2i", "buildkit"),
        ("/system.slice/crun-buildah-buildah7.scope/container", "buildah"),
        (f"{USER}/apptainer-7.scope", "apptainer"),
    ):
        found = container(path)
        assert found.id
        assert (found.name, found.service, found.unresolved) == (None, service, "no_state")


def test_a_katas_machine_is_its_pods() -> None:
    sandbox = ContainerMetadata(VICTIM, "containerd", 0, "POD", None, "cart-0", "shop", UID)
    for path in (
        f"/kata_overhead/{VICTIM}",
        f"/kata_overhead/kubepods/pod{UID}/{VICTIM}",
        f"/kubepods/pod{UID}/kata_{VICTIM}",
        f"/kata-overhead.slice/runtime-rs-{VICTIM}.scope",
    ):
        found = container(path, sandbox)
        assert (found.runtime, found.pod, found.namespace) == ("kata", "cart-0", "shop")
        assert found.pod_uid == UID


def test_an_incus_project_is_apart() -> None:
    found = container("/lxc.payload.prod_web2/system.slice/nginx.service")
    assert (found.id, found.namespace, found.name) == ("prod_web2", "prod", "web2")


def test_the_triggers_container_is_found_the_same_way() -> None:
    resolver = Resolver(Names(ContainerMetadata(OTHER, "docker", 0, "kind-worker")))
    nested = incident(
        victims=(Victim(cgroup=KIND),),
        trigger=Trigger(cgroup=f"/docker/{OTHER}/kubelet/kubepods/pod{UID}/{'0' * 64}"),
    )
    found = resolver.resolve(nested)
    assert found.container.id == found.trigger.container_id == OTHER
    found = resolver.resolve(incident(victims=(Victim(cgroup=KIND),), trigger=Trigger(cgroup=KIND)))
    assert found.trigger.container_id == OTHER
