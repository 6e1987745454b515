# SPDX-License-Identifier: Apache-2.0
"""Takes the options, gives a client of the cluster's API, or one line on what it lacks."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from .api import Api

EXTRA = "container-oomkill[kubernetes]"


def open_api(args: Namespace) -> Api:
    """Return a client; it has asked nothing yet. Raises `UsageError`."""
    try:
        from .access import by_kubeconfig, in_pod
        from .api import Api

        return Api(by_kubeconfig(args.kubeconfig) if args.kubeconfig else in_pod())
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--kubernetes: {error.name} is not installed: pip install '{EXTRA}'"
        ) from None


def node_of(args: Namespace) -> str:
    """Return the name that the cluster has for this node. Raises `UsageError`."""
    if not args.kubernetes_node:
        raise UsageError(
            "--kubernetes: this node's name is not known: set NODE_NAME from fieldRef "
            "spec.nodeName, or give --kubernetes-node"
        )
    return str(args.kubernetes_node)
