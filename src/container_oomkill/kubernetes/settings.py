# SPDX-License-Identifier: Apache-2.0
"""How to reach the API, and this node's name in the cluster; one line on what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from .api import Api

EXTRA = "container-oomkill[kubernetes]"
NEEDED = ("urllib3", "msgspec", "yaml")


def open_api(kubeconfig: str | None) -> Api:
    """Return a client, a pod's without ``kubeconfig``; it has asked nothing yet.

    Raises `UsageError`.
    """
    try:
        from .access import in_pod
        from .api import Api
        from .kubeconfig import by_kubeconfig

        return Api(by_kubeconfig(kubeconfig) if kubeconfig else in_pod())
    except ModuleNotFoundError as error:
        raise _not_installed(error.name) from None


def check(kubeconfig: str | None) -> None:
    """Raise `UsageError` for what `open_api` would refuse, before there is time to import it all.

    A kubeconfig is read: who has one is no pod, whose first kills must not wait for this.
    """
    from importlib.util import find_spec

    for name in NEEDED:
        if find_spec(name) is None:
            raise _not_installed(name)
    if kubeconfig:
        from .kubeconfig import by_kubeconfig

        by_kubeconfig(kubeconfig)
    else:
        from .in_pod import api_address, token_file

        api_address()
        token_file()


def _not_installed(name: str | None) -> UsageError:
    return UsageError(f"--kubernetes: {name} is not installed: pip install '{EXTRA}'")


def known_node(node: str | None) -> str:
    """Return the name that the cluster has for this node. Raises `UsageError` without one."""
    if not node:
        raise UsageError(
            "--kubernetes: this node's name is unknown: set NODE_NAME from fieldRef "
            "spec.nodeName, or pass --kubernetes.node"
        )
    return node
