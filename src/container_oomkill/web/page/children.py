# SPDX-License-Identifier: Apache-2.0
"""Who below the limit held how much: of a pod, its containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.below import called, is_within, own_child
from ...identity.metadata import SANDBOX
from ...incident.wire import lib
from ...units import size
from .bar import HEIGHT, WIDTH
from .words import amount, limit_size, name

if TYPE_CHECKING:
    from ...incident.model import Child, Domain, Incident

LEAST_BYTES = 1 << 20  # of what no living container holds


def children(incident: Incident) -> h.Node:
    """Draw a row for each; None where there is nothing to compare."""
    domain = incident.domain
    if domain is None or domain.children is None or incident.scope == "container":
        return None
    gone = _gone_bytes(domain)
    if len([each for each in domain.children if each.container.name != SANDBOX]) < 2 and not gone:
        return None
    title = "Which container held it" if incident.scope == "pod" else "Which cgroup held it"
    return h.figure(".memory")[
        h.figcaption[title],
        h.ul(".children")[
            (_row(incident, domain, child) for child in domain.children),
            gone
            and h.li[
                h.span["no living container"], h.span(".amount")[size(gone)], _bar(gone, domain)
            ],
        ],
        len(domain.children) >= lib.OOMKILL_CHILDREN
        and h.p(".remark")[f"Only the {len(domain.children)} largest are known."],
    ]


def _gone_bytes(domain: Domain) -> int | None:
    gone = None if domain.stat is None else domain.stat.gone_bytes
    return gone if gone is not None and gone >= LEAST_BYTES else None


def _row(incident: Incident, domain: Domain, child: Child) -> h.Element:
    used, limit = child.usage_bytes, child.limit_bytes
    return h.li[
        h.span[
            "the pod's sandbox" if child.container.name == SANDBOX else name(called(child)),
            [[" ", h.span(".tag", {"data-tag": tag})[tag]] for tag in _tags(incident, child)],
        ],
        h.span[
            h.span(".amount")[amount(used)],
            None if limit is None else h.span(".pid")[f" of its {limit_size(limit)}"],
        ],
        None if used is None else _bar(used, domain),
    ]


def _tags(incident: Incident, child: Child) -> Iterator[str]:
    if child is own_child(incident):
        yield "killed"
    if is_within(incident.trigger.cgroup, child.cgroup):
        yield "asked"


def _bar(used: int, domain: Domain) -> h.Element:
    """Draw its part of the limit that was reached."""
    whole, used = max(domain.limit_bytes or 0, domain.usage_bytes or 0, used, 1), max(used, 0)
    box = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none"}
    return h.svg(".bar", box, aria_hidden="true")[
        h.rect(".room", width=str(WIDTH), height=str(HEIGHT)),
        h.rect(".part", width=f"{WIDTH * used / whole:.1f}", height=str(HEIGHT)),
    ]
