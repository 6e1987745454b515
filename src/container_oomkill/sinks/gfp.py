# SPDX-License-Identifier: Apache-2.0
"""Takes an allocation's gfp mask, gives the names that the kernel's log has for it.

Bits 0 to 22, except bit 9, are the same on every kernel from 5.8 to 7.3 (include/linux/gfp_types.h;
tests/kernel compares the names with each kernel's log). Higher bits depend on the kernel's version
and configuration, and stay a number.
"""

from __future__ import annotations

BITS = {
    0x01: "__GFP_DMA",
    0x02: "__GFP_HIGHMEM",
    0x04: "__GFP_DMA32",
    0x08: "__GFP_MOVABLE",
    0x10: "__GFP_RECLAIMABLE",
    0x20: "__GFP_HIGH",
    0x40: "__GFP_IO",
    0x80: "__GFP_FS",
    0x100: "__GFP_ZERO",
    0x400: "__GFP_DIRECT_RECLAIM",
    0x800: "__GFP_KSWAPD_RECLAIM",
    0x1000: "__GFP_WRITE",
    0x2000: "__GFP_NOWARN",
    0x4000: "__GFP_RETRY_MAYFAIL",
    0x8000: "__GFP_NOFAIL",
    0x10000: "__GFP_NORETRY",
    0x20000: "__GFP_MEMALLOC",
    0x40000: "__GFP_COMP",
    0x80000: "__GFP_NOMEMALLOC",
    0x100000: "__GFP_HARDWALL",
    0x200000: "__GFP_THISNODE",
    0x400000: "__GFP_ACCOUNT",
}
# The most specific first, as include/trace/events/mmflags.h has them.
SETS = {
    0x100CCA: "GFP_HIGHUSER_MOVABLE",
    0x100CC2: "GFP_HIGHUSER",
    0x100CC0: "GFP_USER",
    0x400CC0: "GFP_KERNEL_ACCOUNT",
    0xCC0: "GFP_KERNEL",
    0xC40: "GFP_NOFS",
    0xC00: "GFP_NOIO",
}


def gfp_names(mask: int) -> str:
    """Return them joined by ``|``, then what has no name: ``GFP_KERNEL|0x1000000``."""
    names = []
    for bits, name in (SETS | BITS).items():
        if mask & bits == bits:
            names.append(name)
            mask &= ~bits
    if mask or not names:
        names.append(f"{mask:#x}")
    return "|".join(names)
