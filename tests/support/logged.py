# SPDX-License-Identifier: Apache-2.0
"""The lines of the log as they are written, also by threads. pytest's own capture gives them whole,
at the end of a test."""

from __future__ import annotations

import pytest

from container_oomkill.system import log


def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what will be in the log, line by line; stderr gets none of it."""
    lines: list[str] = []
    monkeypatch.setattr(log, "_put", lines.append)
    return lines
