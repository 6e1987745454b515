# SPDX-License-Identifier: Apache-2.0
"""What `why` is asked about, as kubectl has names: POD, NAMESPACE/POD, deployment/NAME."""

from __future__ import annotations

from ...errors import UsageError
from ...system.settings import Settings

POD = "Pod"
# As kubectl takes them: in one number or the other, or short.
KINDS = {
    **dict.fromkeys(("pod", "pods", "po"), POD),
    **dict.fromkeys(("deployment", "deployments", "deploy"), "Deployment"),
    **dict.fromkeys(("statefulset", "statefulsets", "sts"), "StatefulSet"),
    **dict.fromkeys(("daemonset", "daemonsets", "ds"), "DaemonSet"),
    **dict.fromkeys(("replicaset", "replicasets", "rs"), "ReplicaSet"),
    **dict.fromkeys(("job", "jobs"), "Job"),
    **dict.fromkeys(("cronjob", "cronjobs", "cj"), "CronJob"),
}


class NamedObject(Settings):
    """``kind``: as the API writes it; ``namespace``: None: of any."""

    kind: str
    name: str
    namespace: str | None = None

    @property
    def workload(self) -> str | None:
        """As records have it, Deployment/cart; None: it is a pod."""
        return None if self.kind == POD else f"{self.kind}/{self.name}"

    @property
    def words(self) -> str:
        return self.workload or self.name


def named_object(text: str, namespace: str | None) -> NamedObject:
    """``namespace``: of -n. Raises `UsageError`."""
    before, slash, name = text.rpartition("/")
    if kind := KINDS.get(before.lower()):
        return NamedObject(kind=kind, name=name, namespace=namespace)
    if not slash:
        return NamedObject(kind=POD, name=name, namespace=namespace)
    if namespace not in (None, before) or "/" in before:
        raise UsageError(
            f"{text}: expected POD, NAMESPACE/POD, or a kind and a name: deployment/NAME"
        )
    return NamedObject(kind=POD, name=name, namespace=before)
