# SPDX-License-Identifier: Apache-2.0
"""Takes what is out of memory without a kill from its ring to its sinks, beside the incidents.

An episode is told three ways: ``on_begin`` when it is known to be one, ``on_going`` then and each
minute while it goes on, and to the sinks, as a record, when it is over. What was found out at its
begin is kept for its end, when the cgroup may be gone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import RecordError
from ..identity.resolver import Resolver
from ..incident.host import read_host
from ..libbpf.ring import Ring
from ..stuck.cause import explain, with_cause
from ..stuck.decoder import decode_stuck
from ..stuck.killable import is_anything_killable
from ..stuck.model import Stuck

OPEN_MAX = 1024  # episodes, as many as the kernel side has

StuckSink = Callable[[Stuck], None]
Killable = Callable[[str | None, int | None], bool | None]


class StuckDelivery:
    """``wanted``: what the sinks get; None: everything."""

    def __init__(
        self,
        ring: Ring,
        sinks: Sequence[StuckSink],
        resolver: Resolver,
        *,
        node: str | None = None,
        on_begin: StuckSink = lambda _: None,
        on_going: StuckSink = lambda _: None,
        on_lost: Callable[[str, int], None] = lambda *_: None,
        wanted: Callable[[Stuck], bool] = lambda _: True,
        killable: Killable = is_anything_killable,
    ) -> None:
        """``ring`` stays the caller's. ``killable``: whether a cgroup has what may be killed."""
        self._ring = ring
        self._sinks = sinks
        self._resolver = resolver
        self._node = node
        self._on_begin = on_begin
        self._on_going = on_going
        self._on_lost = on_lost
        self._wanted = wanted
        self._killable = killable
        self._open: OrderedDict[str, Stuck] = OrderedDict()

    def fileno(self) -> int:
        """Return what is readable when there is something to deliver."""
        return self._ring.fileno()

    def deliver(self) -> bool:
        """Deliver what there is; False: that was all."""
        self._ring.wait(0)  # from here on, what comes makes it readable again
        host = None
        for data, position in self._ring.read():
            host = host or read_host(self._node)
            try:
                stuck = decode_stuck(data, host)
            except RecordError:
                self._on_lost("broken_record", 1)
            else:
                self._take(stuck)
            self._ring.release(position)
        return False

    def _take(self, now: Stuck) -> None:
        known = self._open.pop(now.id, None)
        whole = self._completed(now) if known is None else _continued(known, now)
        whole = explain(whole)
        if not now.stuck.ended:
            self._open[now.id] = whole
            if len(self._open) > OPEN_MAX:
                self._open.popitem(last=False)
            if self._wanted(whole):
                if known is None:
                    self._on_begin(whole)
                self._on_going(whole)
        elif self._wanted(whole):
            for sink in self._sinks:
                sink(whole)

    def _completed(self, stuck: Stuck) -> Stuck:
        """Add whose it is, and why nothing is killed, which shows as long as it goes on."""
        if stuck.cgroup is None:
            return stuck
        container = self._resolver.container(stuck.cgroup)
        killable = None
        if stuck.stuck.cause is None and not stuck.stuck.ended:
            killable = self._killable(stuck.cgroup, stuck.cgroup_id)
        return with_cause(replace(stuck, container=container), killable)


def _continued(known: Stuck, now: Stuck) -> Stuck:
    """The same episode, some time later."""
    return replace(known, stuck=replace(now.stuck, cause=known.stuck.cause))
