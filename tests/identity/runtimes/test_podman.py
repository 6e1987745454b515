# SPDX-License-Identifier: Apache-2.0
"""Podman's lists: permanent and volatile, CRI-O's entries in them, and damaged ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.identity.metadata import ContainerMetadata
from container_oomkill.identity.runtimes.podman import Podman, read
from container_oomkill.identity.runtimes.state import StateError

from ...support.json_values import JSON
from ...support.trees import C, D, podman_entry, write


def test_both_lists(tmp_path: Path) -> None:
    write(tmp_path / "containers.json", [podman_entry(C, "web")])
    write(tmp_path / "volatile-containers.json", [podman_entry(D, "job")])
    source = Podman(str(tmp_path))
    assert source.keys() == {(0, C), (0, D)}
    image = "docker.io/library/nginx:1.27.4"
    assert source.find((0, C)) == ContainerMetadata(C, "podman", name="web", image=image)
    assert source.find((0, D)) == ContainerMetadata(D, "podman", name="job", image=image)
    assert source.find((0, "0" * 64)) is None


def test_a_list_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "containers.json", [podman_entry(C, "web")])
    os.utime(tmp_path / "containers.json", (1, 1))
    source = Podman(str(tmp_path))
    before = source.stamp()
    assert source.settled(before)
    assert source.find((0, C)) is source.find((0, C))  # not read twice
    write(tmp_path / "new", [podman_entry(C, "web2")]).replace(tmp_path / "containers.json")
    assert source.stamp() != before
    known = source.find((0, C))
    assert known
    assert known.name == "web2"
    (tmp_path / "containers.json").unlink()
    assert source.stamp() is None
    assert source.keys() == set()


def test_crios_containers_are_not_podmans(tmp_path: Path) -> None:
    entry = podman_entry(C, "k8s_app_cart", **{"pod-name": "k8s_POD_cart", "pod-id": D})
    write(tmp_path / "containers.json", [entry])
    assert Podman(str(tmp_path)).keys() == set()


@pytest.mark.parametrize(
    "content", ["", "{}", "7", '[{"id": 1}, {"id": "../etc"}, null, [], {"names": ["a"]}]']
)
def test_damaged_lists(tmp_path: Path, content: str) -> None:
    write(tmp_path / "containers.json", content)
    source = Podman(str(tmp_path))
    if content:
        assert source.keys() == set()
    else:
        with pytest.raises(StateError):
            source.keys()


def test_a_damaged_list_hides_not_the_other(tmp_path: Path) -> None:
    write(tmp_path / "containers.json", [podman_entry(C, "web")])
    write(tmp_path / "volatile-containers.json", "[" * 100_000)
    source = Podman(str(tmp_path))
    known = source.find((0, C))
    assert known
    assert known.name == "web"
    for ask in (source.keys, lambda: source.find((0, D))):
        with pytest.raises(StateError, match=r"/volatile-containers.json: not_json"):
            ask()
    (tmp_path / "volatile-containers.json").unlink()
    assert source.keys() == {(0, C)}


def test_metadata_that_is_not_json() -> None:
    entry: dict[str, Any] = podman_entry() | {"metadata": "{"}
    assert read(0, entry) == ContainerMetadata(C, "podman", name="web")
    assert read(0, podman_entry() | {"names": ["a\nb"]}) == ContainerMetadata(
        C, "podman", image="docker.io/library/nginx:1.27.4"
    )


@given(JSON, st.text())
def test_any_json(document: object, text: str) -> None:
    assert read(0, document) is None
    assert read(0, {"id": C, "names": document, "metadata": document})
    assert read(0, {"id": C, "names": [document], "metadata": text})
