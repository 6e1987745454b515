# SPDX-License-Identifier: Apache-2.0
"""Takes a pod, gives the workload that people know: ``Deployment/cart``, ``CronJob/report``.

The owner of a ReplicaSet or Job is read from the API, metadata only. A ReplicaSet's name would hint
at it, but not say whether it is a Deployment or an Argo Rollout. One request for each owner that
has pods on this node, at its first pod. Where that fails, `missed` says so: a pod may never change.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from ..system.backoff import Backoff
from .api import Api
from .errors import ApiError
from .objects import Metadata, Owner, Partial

PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
CAPACITY = 1024  # owners remembered
FORBIDDEN = (401, 403)  # not for this time only
PLURALS = {("apps", "ReplicaSet"): "replicasets", ("batch", "Job"): "jobs"}


class Owners:
    """For one thread."""

    def __init__(
        self,
        api: Api,
        warn: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._warn = warn
        self._clock = clock
        self._known: OrderedDict[str, str] = OrderedDict()  # workload by the owner's uid
        self._backoff = Backoff()
        self._resume = clock()
        self._is_forbidden = False
        self.missed = False  # one that may be read another time was not; for the caller to clear

    def workload(self, pod: Metadata) -> str:
        """Return ``kind/name``: the owner's owner, the owner, or the pod itself that has none."""
        owner = pod.controller()
        if owner is None:
            return f"Pod/{pod.name}"
        itself = f"{owner.kind}/{owner.name}"
        group, _, version = owner.api_version.rpartition("/")
        plural = PLURALS.get((group, owner.kind))
        if plural is None:
            return itself
        if (known := self._known.get(owner.uid)) is not None:
            self._known.move_to_end(owner.uid)
            return known
        if self._clock() < self._resume:
            self.missed |= not self._is_forbidden
            return itself
        path = f"/apis/{group}/{version}/namespaces/{pod.namespace}/{plural}/{owner.name}"
        try:
            above = self._above(path, owner)
        except ApiError as error:
            self._resume = self._clock() + self._backoff.next(error.retry_after)
            self._is_forbidden = error.code in FORBIDDEN
            self.missed |= not self._is_forbidden
            self._warn(f"read the owner of {itself}: {error}: using {itself} as its pods' workload")
            return itself
        self._backoff.reset()
        self._known[owner.uid] = workload = f"{above.kind}/{above.name}" if above else itself
        while len(self._known) > CAPACITY:
            self._known.popitem(last=False)
        return workload

    def _above(self, path: str, owner: Owner) -> Owner | None:
        try:
            found = self._api.get(path, Partial, form=PARTIAL).metadata
        except ApiError as error:
            if error.code == 404:
                return None  # gone before its pods
            raise
        return found.controller() if found.uid == owner.uid else None
