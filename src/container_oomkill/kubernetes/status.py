# SPDX-License-Identifier: Apache-2.0
"""Holds Kubernetes' OOMKilled against the kernel: a status without a kill, a kill without one.

The kubelet has the status from the runtime, which asks the cgroup once it has gone: it may look too
late, and it blames PID 1 for a child that died before. So a sink remembers whom the kernel killed,
and what the watch says of containers that have ended is compared with it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from ..incident.model import Incident
from ..sinks.ends import is_end
from ..sinks.printable import printable
from ..system import log
from .objects import ContainerStatus, Ended, seconds_of

OOM_KILLED = "OOMKilled"
WITHOUT_KILL, WITHOUT_STATUS = DIRECTIONS = ("status_without_kill", "kill_without_status")
KILLED_MAX = 1024  # containers
TOLD_MAX = 4096


class StatusCheck:
    """A sink of incidents; `ended` is called by the watch, in its thread."""

    def __init__(
        self,
        on_mismatch: Callable[[str], None],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """``on_mismatch``: takes one of `DIRECTIONS`."""
        self._on_mismatch = on_mismatch
        self._since = wall()  # what ended before may have been killed before anybody watched
        self._killed: OrderedDict[str, bool] = OrderedDict()  # by id: whether PID 1 was
        self._told: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, incident: Incident) -> None:
        if (id_ := incident.container.id) is None:
            return
        with self._lock:
            ended = self._killed.pop(id_, False) or is_end(incident)
            self._killed[id_] = ended
            if len(self._killed) > KILLED_MAX:
                self._killed.popitem(last=False)

    def ended(self, pod: str, status: ContainerStatus) -> None:
        """Take a container's status; ``pod``: namespace and name, for the log."""
        for each in status.ended():
            self._compare(f"{pod}/{status.name}", each)

    def _compare(self, name: str, ended: Ended) -> None:
        id_ = (ended.container_id or "").partition("://")[2]
        finished = seconds_of(ended.finished_at)
        if not id_ or finished is None or finished < self._since:
            return
        with self._lock:
            if id_ in self._told:
                return
            self._told[id_] = None
            if len(self._told) > TOLD_MAX:
                self._told.popitem(last=False)
            killed = self._killed.get(id_)
        if ended.reason == OOM_KILLED and killed is None:
            words = "Kubernetes says OOMKilled, and the kernel killed nothing in it"
            self._say(WITHOUT_KILL, name, words)
        elif ended.reason != OOM_KILLED and killed:
            words = f"the kernel's OOM killer killed its PID 1, and Kubernetes says {ended.reason}"
            self._say(WITHOUT_STATUS, name, words)

    def _say(self, direction: str, name: str, words: str) -> None:
        self._on_mismatch(direction)
        log.warn(f"kubernetes: container {printable(name)}: {printable(words)}")
