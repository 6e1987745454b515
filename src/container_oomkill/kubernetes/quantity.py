# SPDX-License-Identifier: Apache-2.0
"""Amounts as the API writes them: k8s.io/apimachinery/pkg/api/resource.

In whole numbers: the module decimal would come into every exporter for this alone.
"""

from __future__ import annotations

import re

_FORM = re.compile(r"\+?([0-9]{1,20})?(?:\.([0-9]{0,9}))?(?:[eE]([+-]?[0-9]{1,2}))?(\w*)", re.ASCII)
_TENS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {name: 1024**power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_MOST = 1 << 63


def bytes_of(quantity: str | float | None) -> int | None:
    """Return an amount of memory in bytes, rounded up; None for what is none."""
    found = _FORM.fullmatch(str(quantity)) if quantity is not None else None
    if found is None:
        return None
    whole, part, exponent, suffix = found[1] or "", found[2] or "", found[3], found[4]
    known = suffix in _TENS or suffix in _BINARY
    if not whole + part or not known or (exponent is not None and suffix):
        return None
    tens = _TENS.get(suffix, 0) + int(exponent or 0) - len(part)
    amount = int(whole + part) * _BINARY.get(suffix, 1) * 10 ** max(tens, 0)
    size = -(-amount // 10 ** max(-tens, 0))
    return size if size < _MOST else None
