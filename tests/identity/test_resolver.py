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
    before = incident(victims=(Victim(cgroup="/mine/hog"),), trigger=Trigger(cgroup="/mine"))
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
    assert container("/mine/hog").unresolved is None
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
        ("/system.slice/slurmstepd.scope/job_42/step_0/user/task_0", "job_42", "slurm"),
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
    assert container(path.replace("user@1000", "user@1001"), bank, mine).name == "bank"
    session = f"/user.slice/user-1000.slice/session-3.scope/docker/{VICTIM}"
    assert container(session, bank, mine).name == "bank"
    huge = "9" * 5000
    path = f"/user.slice/user-{huge}.slice/user@{huge}.service/docker-{VICTIM}.scope"
    assert container(path, bank).name == "bank"


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
