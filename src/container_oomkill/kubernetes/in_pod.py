# SPDX-License-Identifier: Apache-2.0
"""What a pod is given to reach the API with. Imports nothing: it is looked at before attaching."""

from __future__ import annotations

import os

from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def api_address(environ: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Return host and port of the API. Raises `UsageError` outside a pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise UsageError(
            "find the Kubernetes API: KUBERNETES_SERVICE_HOST is not set, so this is not a pod: "
            "pass --kubeconfig FILE"
        )
    return host, port


def token_file(account: str = ACCOUNT) -> str:
    """Return the file with the service account's token. Raises `UsageError` without one."""
    token = f"{account}/token"
    if not os.path.exists(token):  # noqa: PTH110 - pathlib takes longer to import than all this
        raise UsageError(
            f"find the Kubernetes API: {token} does not exist: set serviceAccountName and "
            "automountServiceAccountToken: true for the pod"
        )
    return token
