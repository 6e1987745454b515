# SPDX-License-Identifier: Apache-2.0
"""The shapes of usage before a kill, by their names in a record; diagnosis/shape.py finds them."""

from __future__ import annotations

LIMIT_LOWERED, PLATEAU, LEAK, SAWTOOTH = "limit_lowered", "plateau", "leak", "sawtooth"
START_UP, SPIKE, RAMP = "start_up", "spike", "ramp"
SHAPES = (LIMIT_LOWERED, PLATEAU, LEAK, SAWTOOTH, START_UP, SPIKE, RAMP)
