# SPDX-License-Identifier: Apache-2.0
"""The names of gfp masks, as logs of several kernels have them."""

from __future__ import annotations

import pytest

from container_oomkill.sinks.gfp import gfp_names


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (0xCC0, "GFP_KERNEL"),
        (0xDC0, "GFP_KERNEL|__GFP_ZERO"),
        (0x400CC0, "GFP_KERNEL_ACCOUNT"),
        (0x100CCA, "GFP_HIGHUSER_MOVABLE"),
        (0x140CCA, "GFP_HIGHUSER_MOVABLE|__GFP_COMP"),
        (0x101CCA, "GFP_HIGHUSER_MOVABLE|__GFP_WRITE"),
        (0xC40, "GFP_NOFS"),
        (0x1000CC0, "GFP_KERNEL|0x1000000"),
        (0x200, "0x200"),
        (0, "0x0"),
    ],
)
def test_names(mask: int, names: str) -> None:
    assert gfp_names(mask) == names
