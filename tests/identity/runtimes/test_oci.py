# SPDX-License-Identifier: Apache-2.0
"""OCI bundles: containerd's by namespace, nerdctl's, CRI-O's, and those among them of others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given

from container_oomkill.identity.discovery import ContainerDiscovery
from container_oomkill.identity.metadata import MIB, ContainerMetadata
from container_oomkill.identity.runtimes.docker import Remapped, docker
from container_oomkill.identity.runtimes.excerpt import excerpt
from container_oomkill.identity.runtimes.oci import Containerd, crio, read_containerd, read_crio
from container_oomkill.identity.runtimes.sources import default_sources
from container_oomkill.identity.runtimes.state import StateError
from container_oomkill.identity.runtimes.survey import survey

from ...support.json_values import JSON
from ...support.trees import UID, C, D, containerd_config, crio_config, docker_config, write

FACTS = ("app", "registry.example/shop/cart:1.2", "cart-7d9f4", "shop", UID)


def facts(known: ContainerMetadata | None) -> tuple[str | None, ...]:
    assert known
    return known.name, known.image, known.pod, known.namespace, known.pod_uid


def test_containerd_by_namespace(tmp_path: Path) -> None:
    write(tmp_path / "k8s.io" / C / "config.json", containerd_config())
    nerdctl = {"annotations": {"nerdctl/name": "web", "nerdctl/namespace": "default"}}
    write(tmp_path / "default" / D / "config.json", nerdctl)
    write(tmp_path / "default/ctroom1/config.json", {})
    write(tmp_path / "moby" / ("0" * 64) / "config.json", {})
    source = Containerd(str(tmp_path))
    assert source.keys() == {(0, C), (0, D)}
    assert facts(source.find((0, C))) == FACTS
    assert facts(source.find((0, D))) == ("web", None, None, None, None)
    assert source.find((0, "0" * 64)) is None
    assert source.version((0, C)) is not None
    assert source.version((0, "0" * 64)) is None


def test_containerd_that_is_not_there(tmp_path: Path) -> None:
    source = Containerd(str(tmp_path / "no"))
    assert source.stamp() is None
    assert source.keys() == set()
    assert source.find((0, C)) is None


@pytest.mark.parametrize("more", ["x" * (2 << 20), '"\\{[' * (1 << 19), ["A=" + "é" * 500] * 1200])
def test_an_environment_of_megabytes_costs_no_name(tmp_path: Path, more: object) -> None:
    """Its author's secrets and certificates, or many ConfigMaps."""
    document = containerd_config()
    document["process"]["env"] = more
    config = write(tmp_path / "containerd/k8s.io" / C / "config.json", document)
    assert config.stat().st_size > MIB
    assert facts(Containerd(str(tmp_path / "containerd")).find((0, C))) == FACTS
    document = crio_config() | {"process": {"env": more}}
    write(tmp_path / "crio" / C / "userdata/config.json", document)
    assert facts(crio(str(tmp_path / "crio")).find((0, C))) == FACTS
    document = docker_config(C)
    document["Config"]["Env"] = more
    write(tmp_path / "docker" / C / "config.v2.json", document)
    known = docker(str(tmp_path / "docker")).find((0, C))
    assert known
    assert (known.name, known.image) == ("shop-cart-1", "registry.example/shop/cart:1.2")
    assert known.service == "shop-cart"


@pytest.mark.parametrize(
    "text",
    [
        "[" * (2 << 20),
        '{"process":' + "[" * (2 << 20),
        '{"annotations":{"a":"' + "x" * (2 << 20) + '"}}',
        '{"a":"' + "x" * (2 << 20),
        '{"' + '\\"' * (1 << 20),
        '{"a":1}' + " " * (4 << 20),
        '{"a"' + " " * (2 << 20),
    ],
)
def test_large_and_hostile(tmp_path: Path, text: str) -> None:
    write(tmp_path / "k8s.io" / C / "config.json", text)
    with pytest.raises(StateError) as caught:
        Containerd(str(tmp_path)).find((0, C))
    assert caught.value.reason == "too_big"


def test_k0s_and_userns_remap_are_looked_for_by_default(tmp_path: Path) -> None:
    k0s = tmp_path / "run/k0s/containerd/io.containerd.runtime.v2.task/k8s.io"
    write(k0s / C / "config.json", containerd_config())
    remapped = tmp_path / "var/lib/docker/165536.165536/containers"
    write(remapped / D / "config.v2.json", docker_config(D))
    write(tmp_path / "var/lib/docker/overlay2.1/containers" / C / "config.v2.json", "{")
    found = survey(default_sources(root=str(tmp_path), users=None))
    assert sum(found["containerd"].known.values()) == 1
    assert sum(found["docker"].known.values()) == 1
    with ContainerDiscovery(default_sources(root=str(tmp_path), users=None)) as names:
        known = names.lookup(C), names.lookup(D)
    assert [one if isinstance(one, str) else one.name for one in known] == ["app", "shop-cart-1"]


def test_no_remapping_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "containers").mkdir()
    source = Remapped(str(tmp_path))
    assert source.stamp() is None
    assert source.keys() == set()
    (tmp_path / "165536.165536/containers").mkdir(parents=True)
    assert source.stamp() is not None
    assert Remapped(str(tmp_path / "no")).stamp() is None


def test_containerds_stamp_changes_with_a_namespaces_folder(tmp_path: Path) -> None:
    (tmp_path / "k8s.io").mkdir()
    source = Containerd(str(tmp_path))
    before = source.stamp()
    write(tmp_path / "k8s.io" / C / "config.json", {})
    assert source.stamp() != before


def test_sandbox() -> None:
    document = containerd_config(
        **{
            "io.kubernetes.cri.container-type": "sandbox",
            "io.kubernetes.cri.podsandbox.image-name": "registry.k8s.io/pause:3.10",
        }
    )
    known = read_containerd((0, D), document, "k8s.io")
    assert facts(known) == ("POD", "registry.k8s.io/pause:3.10", "cart-7d9f4", "shop", UID)


def test_a_pod_only_in_the_kubelets_namespace() -> None:
    known = read_containerd((0, C), containerd_config(), "default")
    assert facts(known) == (None,) * 5


def test_many_annotations_before_the_ones_that_count() -> None:
    document = containerd_config()
    many = {f"a{number}": "x" * 500 for number in range(200)}
    document["annotations"] = many | document["annotations"]
    assert facts(read_containerd((0, C), document, "k8s.io")) == FACTS


def test_crio(tmp_path: Path) -> None:
    write(tmp_path / C / "userdata/config.json", crio_config())
    podman = {"annotations": {"io.container.manager": "libpod"}}
    write(tmp_path / D / "userdata/config.json", podman)
    source = crio(str(tmp_path))
    assert source.keys() == {(0, C), (0, D)}
    known = source.find((0, C))
    assert facts(known) == FACTS
    assert known
    assert known.runtime == "crio"
    assert source.find((0, D)) is None


def test_crios_own_labels_count_over_the_pods_annotations() -> None:
    document = crio_config(**{"io.kubernetes.pod.name": "bank-0"})
    assert facts(read_crio((0, C), document)) == FACTS
    document = crio_config(**{"io.kubernetes.cri-o.Labels": "{"})
    assert facts(read_crio((0, C), document)) == FACTS


def test_crios_sandbox_and_another_containers_file() -> None:
    document = crio_config(**{"io.kubernetes.cri-o.ContainerType": "sandbox"})
    assert facts(read_crio((0, C), document))[0] == "POD"
    assert read_crio((0, D), crio_config()) is None


@given(JSON)
def test_any_json(document: object) -> None:
    assert read_crio((0, C), document) is None
    kind = {"io.kubernetes.cri-o.ContainerType": "container"}
    labels = {"io.kubernetes.cri-o.Labels": json.dumps(document)}
    assert read_crio((0, C), {"annotations": kind | labels})
    assert read_crio((0, C), {"annotations": kind | {"io.kubernetes.cri-o.Labels": document}})
    read_containerd((0, C), document, "k8s.io")
    read_containerd((0, C), {"annotations": document}, "k8s.io")


@given(JSON, JSON)
def test_an_excerpt_is_what_json_has(wanted: object, beside: object) -> None:
    document = {"a": beside, "k": wanted, "b": {"k": beside, "in": wanted, "z": None}, "": 1}
    for text in (json.dumps(document), json.dumps(document, indent=1, ensure_ascii=False)):
        found = excerpt(text.encode("utf-8", "surrogatepass"), {"k": None, "b": {"in": None}})
        assert repr(found) == repr({"k": wanted, "b": {"in": wanted}})  # a NaN is no NaN
