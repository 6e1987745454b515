# SPDX-License-Identifier: Apache-2.0
"""Takes an incident with the node's memory, gives the table of whose it was, which adds up.

Each page that is in use is in one row: a container's, a service's of the host, that of all the
others, what removed cgroups left, or what is charged to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..incident.model import Incident
from .node_shares import called, is_victims, rows

CONTAINER = "container"
HOST = "host"
OTHERS = "others"
GONE = "gone"
UNCHARGED = "uncharged"


@dataclass(frozen=True, slots=True)
class Row:
    """``kind``: one of the above; sizes in bytes, None where unknown or where there is none."""

    kind: str
    name: str
    held: int
    killed: bool = False
    limit: int | None = None
    request: int | None = None
    grew_minute: int | None = None
    grew_hour: int | None = None
    oom_score_adj: int | None = None


def node_table(incident: Incident) -> list[Row]:
    """Return the rows, those with a name first, the largest first; empty where nobody is known."""
    memory = incident.node_memory
    if memory is None or memory.cgroups is None:
        return []
    table = [
        Row(
            CONTAINER if row.container.id is not None else HOST,
            called(row),
            held,
            is_victims(incident, row),
            row.limit_bytes,
            row.container.memory_request_bytes,
            row.grew_minute_bytes,
            row.grew_hour_bytes,
            row.oom_score_adj,
        )
        for row, held in rows(incident)
    ]
    many = "other cgroups" if memory.other_cgroups is None else f"{memory.other_cgroups} others"
    for kind, name, held in (
        (OTHERS, many, memory.other_cgroups_bytes),
        (GONE, "cgroups that were removed", memory.gone_bytes),
        (UNCHARGED, "charged to no cgroup", memory.uncharged_bytes()),
    ):
        if held:
            table.append(Row(kind, name, held))
    return table
