# SPDX-License-Identifier: Apache-2.0
"""Docker's config.v2.json: names of plain containers, pods of cri-dockerd's, and forgeries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from container_oomkill.identity.metadata import ContainerMetadata
from container_oomkill.identity.resolver import Resolver
from container_oomkill.identity.runtimes import engine_socket
from container_oomkill.identity.runtimes.docker import docker, read

from ...support.json_values import JSON
from ...support.trees import UID, C, D, docker_config, kubelet_labels, write

POD_NAME = f"/k8s_app_cart-7d9f4_shop_{UID}_0"


def config(**changes: Any) -> dict[str, Any]:
    return {"Config": docker_config()["Config"] | changes}


def test_compose_container(tmp_path: Path) -> None:
    write(tmp_path / C / "config.v2.json", docker_config())
    source = docker(str(tmp_path))
    assert source.keys() == {(0, C)}
    known = source.find((0, C))
    assert known == ContainerMetadata(
        C,
        "docker",
        name="shop-cart-1",
        image="registry.example/shop/cart:1.2",
        service="shop-cart",
    )
    assert source.find((0, D)) is None
    assert source.find((1000, C)) is None
    assert source.find((0, "../" + C)) is None


def test_cri_dockerd() -> None:
    document = docker_config(Name=POD_NAME, **config(Labels=kubelet_labels()))
    known = read((0, C), document)
    assert known
    assert (known.name, known.pod, known.namespace, known.pod_uid) == (
        "app",
        "cart-7d9f4",
        "shop",
        UID,
    )


def test_cri_dockerds_sandbox() -> None:
    labels = kubelet_labels() | {"io.kubernetes.docker.type": "podsandbox"}
    del labels["io.kubernetes.container.name"]
    name = POD_NAME.replace("_app_", "_POD_")
    known = read((0, C), docker_config(Name=name, **config(Labels=labels)))
    assert known
    assert (known.name, known.pod) == ("POD", "cart-7d9f4")


def test_an_image_cannot_claim_to_be_a_pod() -> None:
    known = read((0, C), docker_config(**config(Labels=kubelet_labels())))
    assert known
    assert (known.name, known.pod, known.namespace, known.pod_uid) == (
        "shop-cart-1",
        None,
        None,
        None,
    )
    other = kubelet_labels() | {"io.kubernetes.pod.namespace": "bank"}
    known = read((0, C), docker_config(Name=POD_NAME, **config(Labels=other)))
    assert known
    assert known.pod is None


@pytest.mark.parametrize(
    "changes",
    [{"Name": "a\nb"}, {"Name": "x" * 1_000_000}, {"Name": None}, {"Name": "/"}, {"Name": {}}],
)
def test_no_name_rather_than_a_bad_one(changes: dict[str, Any]) -> None:
    known = read((0, C), docker_config(**changes))
    assert known
    assert known.name is None
    assert known.image == "registry.example/shop/cart:1.2"


SWARM = {"com.docker.swarm.service.name": "shop_cart"}
COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "cart"}


@pytest.mark.parametrize(
    ("name", "labels", "service"),
    [
        ("/shop_cart.1.w0c2wqzq3o0e9pbbqyb1yl2n5", SWARM, "shop_cart"),
        ("/shop_cart.x7mlqvvw1g9r.w0c2wqzq3o0e", SWARM, "shop_cart"),  # one on each node
        ("/shop-cart-2", COMPOSE, "shop-cart"),
        ("/shop_cart_2", COMPOSE, "shop_cart"),  # 1.29 and before
        ("/shop-cart-run-0123456789ab", COMPOSE, "shop-cart"),
        ("/by-hand", COMPOSE, None),  # container_name: that stays
        ("/happy_bose", SWARM | COMPOSE, None),  # an image's own labels
        ("/shop_cart2.1.w0c2", SWARM, None),
        ("/shop-cart-1", COMPOSE | {"com.docker.compose.project": "shop\n"}, None),
        ("/shop-cart-1", {"com.docker.compose.service": "cart"}, None),
        ("/shop-cart-1", COMPOSE | {"com.docker.compose.service": {"a": 1}}, None),
        (None, COMPOSE, None),
    ],
)
def test_a_service_is_believed_where_the_containers_name_goes_with_it(
    name: str | None, labels: dict[str, Any], service: str | None
) -> None:
    known = read((0, C), docker_config(Name=name, **config(Labels=labels)))
    assert known
    assert known.service == service
    socket = {"Id": C, "Names": [name], "Labels": labels}
    asked = engine_socket.read(socket)
    assert asked
    assert asked.service == service


@dataclass
class Names:
    known: ContainerMetadata

    def lookup(self, container_id: str, owner: int = 0) -> ContainerMetadata | str:
        return self.known if (owner, container_id) == self.known.key() else "not_found"


def test_a_service_is_in_the_record_and_filled_in_by_whoever_knows_it(tmp_path: Path) -> None:
    write(tmp_path / C / "config.v2.json", docker_config())
    known = docker(str(tmp_path)).find((0, C))
    assert known
    bare = replace(known, service=None)
    assert bare.filled_from(known) == known
    assert bare.facts() == known.facts()  # a new name without a service is as good
    assert Resolver(Names(known)).container(f"/docker/{C}").service == "shop-cart"


def test_a_file_of_another_container_is_not_believed() -> None:
    assert read((0, C), docker_config(D)) is None


@given(JSON)
def test_any_json(document: object) -> None:
    assert read((0, C), document) is None
    known = read((0, C), {"ID": C, "Name": document, "Config": document})
    assert known
    known = read((0, C), {"ID": C, "Config": {"Labels": document, "Image": document}})
    assert known
    assert known.pod is None
