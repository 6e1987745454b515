# SPDX-License-Identifier: Apache-2.0
"""What went wrong on the way to another machine, in the kernel's or OpenSSL's own words."""

from __future__ import annotations

from .log import one_line

WORDS_MAX = 300  # characters of what another machine may have written


def words_of(error: BaseException) -> str:
    """Return one line; HTTP clients wrap the cause several times."""
    inner: BaseException | None = error
    while inner is not None:
        if verify := getattr(inner, "verify_message", None):
            return f"certificate not trusted: {verify}"
        if isinstance(inner, TimeoutError):
            return "timed out"
        if isinstance(inner, OSError) and inner.strerror:
            name = f"{inner.filename}: " if inner.filename else ""
            return name + inner.strerror.lower()
        inner = inner.__cause__ or inner.__context__
    if "timed out" in str(error):
        return "timed out"
    return one_line(str(error))[:WORDS_MAX] or type(error).__name__
