# SPDX-License-Identifier: Apache-2.0
"""Takes incidents in the order they happened, gives each explained, with what came just before it.

A write of a limit that is far below what is used has process after process killed until it fits:
as many incidents, one cause. They have the same domain, and the writer asks for each.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ..incident.model import Incident
from ..units import NS
from . import verdict
from .limit import is_lowered

SAME_WRITE_SECONDS = 10.0  # between two kills; a victim of many GiB takes seconds to be gone
WRITES_MAX = 64

Write = tuple[str, str | None, int | None, int | None]  # node, domain, writer's thread and process


@dataclass(slots=True)
class _Kills:
    """Those that one write of a limit asked for."""

    count: int
    boot_ns: int  # of the latest
    sequence: int


class Recent:
    """What one writer did to one cgroup, as long as it goes on."""

    def __init__(self) -> None:
        self._writes: OrderedDict[Write, _Kills] = OrderedDict()

    def explain(self, incident: Incident) -> Incident:
        """As `verdict.explain`; an incident that comes again is told as it was."""
        return self.add_verdict(verdict.add_scope(incident))

    def add_verdict(self, incident: Incident) -> Incident:
        """Return an incident that has its scope with its ``verdict``."""
        told = verdict.find_verdict(incident, self._same_write(incident))
        return incident.changed(verdict=told)

    def _same_write(self, incident: Incident) -> int:
        trigger, domain = incident.trigger, incident.domain
        if domain is None or trigger.tid is None or not is_lowered(incident):
            return 1
        write = (incident.node, domain.cgroup, trigger.tid, trigger.pid)
        known = self._writes.get(write)
        if known is not None and known.sequence == incident.sequence:
            return known.count
        since = None if known is None else incident.boot_ns - known.boot_ns
        if known is not None and since is not None and 0 <= since <= SAME_WRITE_SECONDS * NS:
            count = known.count + 1
        else:
            count = 1
        self._writes[write] = _Kills(count, incident.boot_ns, incident.sequence)
        self._writes.move_to_end(write)
        if len(self._writes) > WRITES_MAX:
            self._writes.popitem(last=False)
        return count
