# SPDX-License-Identifier: Apache-2.0
"""How much the flight recorder records; imported for the options, so nothing heavy."""

from __future__ import annotations

from ..system.settings import Settings

NS = 1_000_000_000
MAX_CGROUPS = 4096


class RecorderSettings(Settings):
    """``interval_seconds``: from one sample to the next; ``max_cgroups``: recorded at most.

    ``sampler``: where the kernel refuses the recorder, take samples from a thread of ours.
    """

    interval_seconds: float = 1.0
    max_cgroups: int = MAX_CGROUPS
    sampler: bool = False

    def tick_ns(self) -> int:
        """Return the interval as the kernel side takes it."""
        return round(self.interval_seconds * NS)
