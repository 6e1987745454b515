# SPDX-License-Identifier: Apache-2.0
"""Whose the node's memory was: the node's bar by kind, and a row for each who held it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.below import percent
from ...diagnosis.breakdown import of_node
from ...diagnosis.node_table import HOST, Row, node_table
from ...units import MIB, size
from .bar import HEIGHT, WIDTH, explained
from .words import amount, name

if TYPE_CHECKING:
    from ...incident.model import Incident
    from ...incident.node_memory import NodeMemory, NumaNode


def node(incident: Incident) -> h.Node:
    """Draw the section; None where a cgroup's limit was the cause, or nothing was read."""
    memory = incident.node_memory
    where = of_node(memory)
    if memory is None or where is None:
        return None
    return h.section(".card", aria_labelledby="node-memory")[
        h.h2("#node-memory")["The node"],
        explained(
            where, "What the node's memory was used for", end="all", remarks=_remarks(memory)
        ),
        _holders(node_table(incident), where.whole_bytes),
        _nodes(memory.nodes or ()),
    ]


def _holders(table: list[Row], whole: int) -> h.Node:
    if not table:
        return None
    return h.figure(".memory")[
        h.figcaption["Who held it"],
        h.ul(".children")[(_row(row, whole) for row in table)],
    ]


def _row(row: Row, whole: int) -> h.Element:
    return h.li[
        h.span[
            name(row.name),
            [[" ", h.span(".tag", {"data-tag": tag})[tag]] for tag in _tags(row)],
        ],
        h.span[
            h.span(".amount")[amount(row.held)],
            h.span(".pid")[", ".join((f" {percent(row.held, whole)} %", *_more(row)))],
        ],
        h.svg(
            ".bar",
            {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none"},
            aria_hidden="true",
        )[
            h.rect(".room", width=str(WIDTH), height=str(HEIGHT)),
            h.rect(".part", width=f"{WIDTH * _part(row, whole):.1f}", height=str(HEIGHT)),
        ],
    ]


def _part(row: Row, whole: int) -> float:
    return min(max(row.held, 0), whole) / whole


def _tags(row: Row) -> Iterator[str]:
    if row.killed:
        yield "killed"
    if row.kind == HOST:
        yield "host"


def _more(row: Row) -> Iterator[str]:
    if row.request is not None:
        yield f"request {size(row.request)}" if row.request else "no request"
    if row.limit is not None:
        yield f"limit {size(row.limit)}"
    if row.oom_score_adj is not None:
        yield f"oom_score_adj {row.oom_score_adj}"
    for when, grew in (("minute", row.grew_minute), ("hour", row.grew_hour)):
        if grew is not None and abs(grew) >= MIB:
            yield f"{grew / MIB:+.1f} MiB in the last {when}"


def _nodes(nodes: tuple[NumaNode, ...]) -> h.Node:
    """Where there are several memory nodes, what each had left."""
    if len(nodes) < 2:
        return None
    return h.figure(".memory")[
        h.figcaption["Memory nodes"],
        h.table(".kinds")[
            h.caption(".unseen")["Free memory of each memory node"],
            h.tbody[
                (
                    h.tr[
                        h.th(scope="row")[
                            f"node {each.number}",
                            each.allowed is False and ", not allowed to who asked",
                        ],
                        h.td[_free(each)],
                    ]
                    for each in nodes
                )
            ],
        ],
    ]


def _free(node: NumaNode) -> str:
    if node.free_bytes is None:
        return "unknown"
    of = "" if node.total_bytes is None else f" of {size(node.total_bytes)}"
    return f"{size(node.free_bytes)} free{of}"


def _remarks(memory: NodeMemory) -> Iterator[str]:
    if memory.source == "proc":
        yield "Read from /proc/meminfo after the kill: what was freed by then is missing."
    if memory.approximate:
        yield "Approximate: the latest changes of some CPUs are not in these numbers."
    if memory.other_cgroups is None and memory.cgroups is not None:
        yield "There were too many cgroups to look at all of them: the others are summed up."
