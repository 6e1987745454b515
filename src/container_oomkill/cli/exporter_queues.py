# SPDX-License-Identifier: Apache-2.0
"""The exporter's sinks that have a queue, so that a slow disk or log holds nothing up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..incident.model import Incident
    from ..killers.model import Kill
    from ..sinks.buffered import BufferedSink
    from ..stuck.model import Stuck


@dataclass
class Queues:
    """Sinks with a queue, by what they take; those of incidents hold the ring's records back."""

    incidents: list[BufferedSink[Incident]] = field(default_factory=list)
    kills: list[BufferedSink[Kill]] = field(default_factory=list)
    stuck: list[BufferedSink[Stuck]] = field(default_factory=list)
