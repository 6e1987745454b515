# SPDX-License-Identifier: Apache-2.0
"""Finds the cluster as kubectl does: by a kubeconfig, or in a pod by its service account."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ...errors import UsageError
from ...kubernetes.access import Access, in_pod
from ...kubernetes.in_pod import ACCOUNT
from ...kubernetes.kubeconfig import by_kubeconfigs

VARIABLE = "KUBECONFIG"
USUAL = "~/.kube/config"


def reach(
    kubeconfig: str | None,
    context: str | None,
    environ: Mapping[str, str] = os.environ,
    account: Path = Path(ACCOUNT),
) -> Access:
    """Return how to reach the API. Raises `UsageError`, `Error` if a credential plugin fails."""
    if kubeconfig is not None:
        return by_kubeconfigs([kubeconfig], context, f"--kubeconfig {kubeconfig}", environ)
    if paths := [path for path in environ.get(VARIABLE, "").split(os.pathsep) if path]:
        return by_kubeconfigs(paths, context, f"{VARIABLE}={environ[VARIABLE]}", environ)
    usual = Path(environ.get("HOME") or "~", ".kube", "config").expanduser()
    if usual.exists():
        return by_kubeconfigs([str(usual)], context, str(usual), environ)
    if context is None and (account / "token").exists() and "KUBERNETES_SERVICE_HOST" in environ:
        return in_pod(environ, account)
    raise UsageError(
        f"find the cluster: {usual} does not exist, {VARIABLE} is not set, and this is not a pod: "
        "pass --kubeconfig FILE"
    )
