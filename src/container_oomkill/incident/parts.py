# SPDX-License-Identifier: Apache-2.0
"""Takes what is sent ahead of an incident's first victim, and adds it to the incident."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import wire
from .before import Before
from .decoder import Decoder
from .model import Incident
from .node_memory import NodeMemory
from .stack import Stack
from .wire import lib


class Parts:
    """Those of one incident; the next one's replace them."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._incident: int | None = None
        self._before: Before | None = None
        self._stack: Stack | None = None
        self._node: NodeMemory | None = None

    def take(self, header: dict[str, Any], data: bytes) -> None:
        """``header``: from `wire.header`, of a kind in `wire.PARTS`. Raises `RecordError`."""
        if header["incident"] != self._incident:
            self._incident = header["incident"]
            self._before = self._stack = self._node = None
        if header["kind"] == lib.OOMKILL_STACK:
            self._stack = _joined(self._stack, self._decoder.stack(wire.stack(data)))
        elif header["kind"] == lib.OOMKILL_STACK_NAMES:
            self._stack = _joined(self._stack, self._decoder.stack_names(wire.stack_names(data)))
        elif header["kind"] == lib.OOMKILL_USER_STACK:
            self._stack = _joined(self._stack, self._decoder.user_stack(wire.user_stack(data)))
        elif header["kind"] == lib.OOMKILL_NODE:
            self._node = self._decoder.node(wire.node(data))
        else:
            known = self._before or Before()
            self._before = self._decoder.ahead(header["kind"], data, known)

    def added(self, incident: Incident, number: int) -> Incident:
        """Return it with its parts, if they came; ``number``: as its records have it."""
        if number != self._incident:
            return incident
        trigger = incident.trigger
        if self._stack is not None:
            trigger = replace(trigger, stack=self._stack)
        return incident.changed(before=self._before, node_memory=self._node, trigger=trigger)


def _joined(one: Stack | None, other: Stack | None) -> Stack | None:
    """The kernel's part and the program's own, whichever came first."""
    if one is None or other is None:
        return one or other
    return Stack(kernel=one.kernel or other.kernel, user=one.user or other.user)
