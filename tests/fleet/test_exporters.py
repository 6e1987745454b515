# SPDX-License-Identifier: Apache-2.0
"""Which pods are exporters, how each is reached, and what is said if none may be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from container_oomkill.errors import Error, UnsupportedError
from container_oomkill.fleet.exporters import NAMESPACE, Exporter, find_exporters
from container_oomkill.kubernetes.access import Access
from container_oomkill.kubernetes.api import Api

from ..support.fleet_server import Fleet, Node, serving


@contextmanager
def asking(fleet: Fleet, token: str | None = None) -> Iterator[Api]:
    with serving(fleet) as url, closing(Api(Access(url, token=token))) as api:
        yield api


def test_one_for_each_node_page_by_page() -> None:
    fleet = Fleet(*(Node(f"n{number:02}") for number in range(25)))
    fleet.page_size = 10
    with asking(fleet) as api:
        found = find_exporters(api)
    assert [each.node for each in found] == [f"n{number:02}" for number in range(25)]
    assert found[0] == Exporter("n00", NAMESPACE, "oomkill-n00")


def test_how_it_is_reached_is_what_its_pod_says() -> None:
    fleet = Fleet(Node("a", secure=True, port=8443, ready=False), Node("b", phase="Pending"))
    with asking(fleet) as api:
        first, second = find_exporters(api)
    assert first.path("/x") == (
        "/api/v1/namespaces/container-oomkill/pods/https:oomkill-a:8443/proxy/x"
    )
    assert (first.ready, second.phase, second.secure) == (False, "Pending", False)


def test_of_two_on_one_node_the_one_that_stays() -> None:
    """While the DaemonSet is updated; a node whose only one is going has that one."""
    going, staying, last = Node("a", going=True), Node("a"), Node("b", going=True)
    fleet = Fleet(last)
    fleet.nodes |= {"oomkill-a-old": going, "oomkill-a": staying}
    fleet.nodes["oomkill-a-old"].port = 1
    with asking(fleet) as api:
        assert [(each.node, each.port) for each in find_exporters(api)] == [
            ("a", 9262),
            ("b", 9262),
        ]


def test_with_rights_in_one_namespace_only() -> None:
    fleet = Fleet(Node("a"))
    fleet.may_list = (NAMESPACE,)
    with asking(fleet) as api:
        assert [each.node for each in find_exporters(api)] == ["a"]
    assert [path for path, _ in fleet.asked] == [
        "/api/v1/pods",
        f"/api/v1/namespaces/{NAMESPACE}/pods",
    ]


def test_without_rights_it_says_what_to_ask_for() -> None:
    fleet = Fleet(Node("a"))
    fleet.may_list = ()
    with asking(fleet) as api, pytest.raises(UnsupportedError) as caught:
        find_exporters(api)
    assert str(caught.value) == (
        'list pods in namespace container-oomkill: 403 pods is forbidden: User "jane" cannot list '
        'resource "pods": ask for the Role container-oomkill-viewer, see docs/kubectl.md'
    )
    fleet = Fleet(Node("a"))
    fleet.token = "right"
    with asking(fleet, "wrong") as api, pytest.raises(UnsupportedError, match="are not accepted"):
        find_exporters(api, namespace=NAMESPACE)


def test_where_it_is_not_installed() -> None:
    fleet = Fleet()
    fleet.may_list = (None, "ops")
    with asking(fleet) as api:
        with pytest.raises(Error, match=r"in any namespace: is the DaemonSet installed\?"):
            find_exporters(api)
        with pytest.raises(Error, match="no pod is labelled a=b in namespace ops: is the"):
            find_exporters(api, namespace="ops", selector="a=b")
