# SPDX-License-Identifier: Apache-2.0
"""Keeps the names of this node's pods up to date, by a list and a watch.

One list at the start, then one request that lasts five minutes and delivers changes, then the next
from there on. It lists again only when the API no longer has our version (410), or when a watch has
ended and a pod's owner could not be read. While the API is down, what is known stays known.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Self

from ..identity.metadata import ContainerMetadata
from ..system import log
from ..system.backoff import Backoff
from ..system.closeable import Closeable
from ..system.worker import Worker
from .api import Api
from .errors import ApiError
from .objects import Change, ContainerStatus, Pod, PodList, Status, decode
from .owners import Owners
from .pods import Pods, cgroup_uid

PODS = "/api/v1/pods"
PAGE = "100"  # pods; a page is in memory at once
PAGES_MAX = 100
WATCH_SECONDS = 300
ROOM_SECONDS = 30  # for the server to end it before we do
BRIEF_SECONDS = 1.0  # a watch that ends sooner than this is no success
GONE = 410
REMEDIES = {
    401: "the token was rejected: does the service account still exist?",
    403: "bind a ClusterRole that allows list and watch on pods to the service account",
}


class PodWatch(Closeable):
    """Names by a thread of its own; a context manager."""

    def __init__(
        self,
        api: Api,
        node: str,
        *,
        backoff: Backoff | None = None,
        on_status: Callable[[str, ContainerStatus], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_status``: takes each container's, with its pod's namespace and name."""
        self.pods = Pods()
        self._on_status = on_status
        self.store = self.pods.containers
        self._up = False  # what is known is what the API has
        self._api = api
        self._node = node
        self._backoff = backoff or Backoff()
        self._log = log.Once("kubernetes")
        self._clock = clock
        self._owners = Owners(api, self._log.warn)
        self._version: str | None = None  # of what is known; None: list anew
        self.worker = Worker("kubernetes")

    def __enter__(self) -> Self:
        self.worker.start(self._run, wake=self._api.close)
        return self

    def close(self) -> None:
        """End the thread, and the API's connections with it."""
        self.worker.close()
        self._api.close()

    def is_up(self) -> bool:
        """Tell whether what is known is what the API has."""
        return self._up and self.worker.failure is None

    def find(self, container_id: str, pod_uid: str | None) -> ContainerMetadata | None:
        """Return what is known of a container; never asks."""
        self.worker.check()
        return self.pods.find(container_id, pod_uid)

    def _run(self) -> None:
        consistent = False
        while not self.worker.ending:
            try:
                if self._version is None:
                    self._version = self.list(consistent=consistent)
                begun = self._clock()
                self._follow(self._version)
                if self._owners.missed:
                    self._version = None
                if self._clock() - begun >= BRIEF_SECONDS:
                    continue
                wait = self._backoff.next()
            except ApiError as error:
                self._up = False
                if error.code == GONE:
                    self._version, consistent = None, True
                if not self.worker.ending:
                    words = f"watch pods of node {self._node}: {error}"
                    self._log.warn(": ".join(filter(None, (words, remedy_of(error)))))
                wait = self._backoff.next(error.retry_after)
            self.worker.pause(wait)

    def list(self, *, consistent: bool = False) -> str:
        """Learn all pods, return the version to watch from.

        At the first time from the API's memory (resourceVersion 0), which a thousand nodes may do
        at once; after a 410 it may be that memory which is behind.
        """
        fields = {"fieldSelector": f"spec.nodeName={self._node}", "limit": PAGE}
        if not consistent:
            fields["resourceVersion"] = "0"
        self._owners.missed = False
        seen: set[str] = set()
        for _ in range(PAGES_MAX):
            page = self._api.get(PODS, PodList, fields=fields)
            for pod in page.items or ():
                seen.add(cgroup_uid(pod))
                self._put(pod)
            if not page.metadata.continue_:
                self.pods.keep_only(seen)
                return page.metadata.resource_version
            fields = {**fields, "continue": page.metadata.continue_}
            fields.pop("resourceVersion", None)
        raise ApiError(f"a list of pods that has no end after {PAGES_MAX} pages")

    def _follow(self, version: str) -> None:
        """Take changes from ``version`` on, until the API ends the watch."""
        fields = {
            "fieldSelector": f"spec.nodeName={self._node}",
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            # not all nodes at once
            "timeoutSeconds": str(random.randrange(WATCH_SECONDS * 3 // 4, WATCH_SECONDS)),  # noqa: S311 - no secret
        }
        for line in self._api.watch(PODS, fields, WATCH_SECONDS + ROOM_SECONDS):
            if not self._up:
                self._up = True
                if self._log.clear():
                    log.info(f"kubernetes: watching {len(self.pods)} pods")
            if line is None:
                self._log.warn("skipped a pod: larger than 4 MiB")
            elif line:
                self._take(line)
                self._backoff.reset()

    def _take(self, line: bytes) -> None:
        change = decode(line, Change)
        if change.type == "ERROR":
            status = decode(change.object, Status)
            raise ApiError(status.message or status.reason, status.code)
        try:
            pod = decode(change.object, Pod)
        except ApiError as error:
            self._log.warn(f"skipped a pod: {error}")  # asked for again, it would come again
            return
        if change.type == "DELETED":
            self.pods.gone(cgroup_uid(pod))
        elif change.type in ("ADDED", "MODIFIED"):
            self._put(pod)
        self._version = pod.metadata.resource_version or self._version

    def _put(self, pod: Pod) -> None:
        """Go on with those that have a place: what becomes of them is still told."""
        if not self.pods.put(pod, self._owners.workload(pod.metadata)):
            self._log.warn(f"more than {len(self.pods)} pods on one node: the API names no others")
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        for status in pod.status.all() if pod.status else ():
            self._on_status(name, status)


def remedy_of(error: ApiError) -> str | None:
    """Return what to do, where there is something."""
    return REMEDIES.get(error.code or 0)
