# SPDX-License-Identifier: Apache-2.0
"""How to reach the API, and this node's name in the cluster; one line on what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from .api import Api

EXTRA = "container-oomkill[kubernetes]"


def open_api(kubeconfig: str | None) -> Api:
    """Return a client, a pod's without ``kubeconfig``; it has asked nothing yet.

    Raises `UsageError`.
    """
    try:
        from .access import by_kubeconfig, in_pod
        from .api import Api

        return Api(by_kubeconfig(kubeconfig) if kubeconfig else in_pod())
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--kubernetes: {error.name} is not installed: pip install '{EXTRA}'"
        ) from None


def known_node(node: str | None) -> str:
    """Return the name that the cluster has for this node. Raises `UsageError` without one."""
    if not node:
        raise UsageError(
            "--kubernetes: this node's name is unknown: set NODE_NAME from fieldRef "
            "spec.nodeName, or pass --kubernetes.node"
        )
    return node
