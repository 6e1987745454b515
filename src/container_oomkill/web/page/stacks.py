# SPDX-License-Identifier: Apache-2.0
"""Where in its own program a container asked for memory when that ran out: its top stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import htpy as h

from ...sinks.names import BY
from ...sinks.stacks import MEANING, place, top_stacks, user_stack
from ...units import plural
from .words import name, unknown

if TYPE_CHECKING:
    from ...incident.model import Incident
    from ...sinks.stacks import CountedStack
    from .kills import Kills

STACKS = 3
FRAMES = 8  # of each; the record has all
FRAME = "A frame is the build id of a program or library and the offset into it."


def stacks(incident: Incident, kills: Kills) -> h.Node:
    """Those of all kills of the container that are kept; None where no stack was taken (--stacks).

    ``kills``: its container's, ``incident`` among them.
    """
    found, taken = top_stacks(kills.incidents, STACKS)
    if not found:
        return None
    its = user_stack(incident)
    return h.section("#stacks.card", data_live=True, aria_labelledby="stacks-heading")[
        h.h2("#stacks-heading")["Where in its program it asked"],
        (_stack(each, taken, is_this=each.frames == its) for each in found),
        h.p(".remark")[
            f"{MEANING} {FRAME} To name the functions: ",
            h.code["container-oomkill symbolize FILE"],
            ", with a recording or the history file, and the programs at hand.",
        ],
    ]


def _stack(stack: CountedStack, taken: int, *, is_this: bool) -> h.Node:
    more = len(stack.frames) - FRAMES
    return [
        h.p(".stack")[
            h.span(".strong")[f"{stack.times} of {plural(taken, 'kill')}"],
            ", this one among them: " if is_this and taken > 1 else ": ",
            name(stack.command),
            f", {BY.get(stack.by, stack.by)}" if stack.by else None,
        ],
        h.ol(".frames")[
            (h.li[h.code[place(frame) or unknown()]] for frame in stack.frames[:FRAMES])
        ],
        more > 0 and h.p(".remark")[f"And {plural(more, 'outer frame')}: the record has them."],
    ]
