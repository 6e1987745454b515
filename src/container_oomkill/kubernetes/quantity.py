# SPDX-License-Identifier: Apache-2.0
"""Amounts as the API writes them: k8s.io/apimachinery/pkg/api/resource."""

from __future__ import annotations

import re
from decimal import Decimal

_FORM = re.compile(
    r"\+?([0-9]{1,20}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})([eE][+-]?[0-9]{1,2})?(\w*)", re.ASCII
)
_DECIMAL = {
    name: Decimal(1000) ** power for power, name in enumerate(("", "k", "M", "G", "T", "P", "E"))
}
_BINARY = {
    name: Decimal(1024) ** power
    for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)
}
_SUFFIXES = (
    _DECIMAL | _BINARY | {"m": Decimal(1) / 1000, "u": Decimal(1) / 10**6, "n": Decimal(1) / 10**9}
)
_MOST = 1 << 63


def bytes_of(quantity: str | float | None) -> int | None:
    """Return an amount of memory in bytes, rounded up; None for what is none."""
    found = _FORM.fullmatch(str(quantity)) if quantity is not None else None
    if found is None or found[3] not in _SUFFIXES or (found[2] and found[3]):
        return None
    amount = Decimal(found[1] + (found[2] or "")) * _SUFFIXES[found[3]]
    whole = int(amount.to_integral_value("ROUND_CEILING"))
    return whole if whole < _MOST else None
