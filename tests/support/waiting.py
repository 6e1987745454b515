# SPDX-License-Identifier: Apache-2.0
"""How long a test waits for what it expects: longer than the busiest machine needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 120.0
TICK_SECONDS = 0.02


def eventually(look: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(TICK_SECONDS)
    return found
