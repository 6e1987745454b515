# SPDX-License-Identifier: Apache-2.0
"""Decodes JSON that others wrote, once it is known what decoding will cost.

The decoder holds the interpreter until it is done, and an empty object in two bytes takes up to a
hundred times as much memory. So size is the caller's to bound, by whose file it is, and nesting
and the number of parts are counted before anything is decoded.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH_MAX = 32  # a runtime's state has up to 10, a pod of Kubernetes up to 20
# A string, or what follows a quote that none closes; possessive, so that it is read once.
_PART = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[][{}]', re.DOTALL)
_STEP = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def loads(data: bytes, *, parts_max: int | None = None) -> Any:
    """Return what ``data``, in UTF-8, says. `ValueError`: no JSON, or more of it than expected.

    ``parts_max``: of strings, keys included, and brackets.
    """
    depth = 0
    for parts, part in enumerate(_PART.finditer(data), 1):
        depth += _STEP.get(part[0], 0)
        if depth > DEPTH_MAX:
            raise ValueError(f"nested more than {DEPTH_MAX} deep")
        if parts_max is not None and parts > parts_max:
            raise ValueError(f"more than {parts_max} parts")
    try:
        return json.loads(data.decode())
    except RecursionError:  # cannot be, with that depth: then it is no JSON
        raise ValueError("nested too deep") from None
