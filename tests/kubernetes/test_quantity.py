# SPDX-License-Identifier: Apache-2.0
"""Amounts as the API writes them."""

from __future__ import annotations

import pytest

from container_oomkill.kubernetes.objects import Pod, decode
from container_oomkill.kubernetes.quantity import bytes_of


@pytest.mark.parametrize(
    ("quantity", "size"),
    [
        ("128Mi", 128 << 20),
        ("1Gi", 1 << 30),
        ("1.5Gi", 3 << 29),
        (".5Gi", 1 << 29),
        ("+2.Ki", 2048),
        ("12e-1", 2),
        (".", None),
        ("64M", 64_000_000),
        ("500k", 500_000),
        ("1e3", 1000),
        ("12E", None),  # more than 63 bits
        ("1E", 10**18),
        ("128974848", 128974848),
        (128974848, 128974848),
        ("1500m", 2),
        ("0", 0),
        (None, None),
        ("", None),
        ("-1Gi", None),
        ("1KB", None),
        ("1e3Mi", None),
        ("Gi", None),
    ],
)
def test_bytes(quantity: str | float | None, size: int | None) -> None:
    assert bytes_of(quantity) == size


def test_the_requests_of_a_pods_containers() -> None:
    pod = decode(
        b"""{"metadata": {"name": "cart"}, "spec": {
        "containers": [
            {"name": "app", "resources": {"requests": {"memory": "64Mi", "cpu": "1"}}},
            {"name": "free", "resources": {}}, {"name": "bare"}],
        "initContainers": [{"name": "side", "resources": {"requests": {"memory": 1000}}}]}}""",
        Pod,
    )
    assert pod.spec is not None
    assert pod.spec.memory_requests() == (("app", 64 << 20), ("side", 1000))
    assert pod.spec.without_request() == ("free", "bare")


def test_what_a_pod_reserves_for_all_of_its_containers_is_no_ones() -> None:
    """spec.resources, Kubernetes 1.34."""
    pod = decode(
        b"""{"metadata": {"name": "cart"}, "spec": {"containers": [{"name": "app"}],
        "resources": {"requests": {"memory": "1Gi"}}}}""",
        Pod,
    )
    assert pod.spec is not None
    assert pod.spec.without_request() == ()


def test_a_request_that_is_no_amount_is_unknown() -> None:
    pod = decode(
        b"""{"metadata": {"name": "cart"}, "spec": {"containers": [
        {"name": "app", "resources": {"requests": {"memory": "much"}}},
        {"name": "none", "resources": {"requests": {"memory": "0"}}}]}}""",
        Pod,
    )
    assert pod.spec is not None
    assert pod.spec.memory_requests() == ()
    assert pod.spec.without_request() == ("none",)
