# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a root folder that has this machine's /proc, /sys and /dev.

The mounts are the command's own and gone when it ends, however that is: whoever removes the root
then removes nothing of this machine.
"""

from __future__ import annotations

from pathlib import Path

# A root is a mount itself: runc asks for it, and rpm from 4.20 on changes how "/" propagates.
SCRIPT = """set -eu
root=$1
mount --bind "$root" "$root"
for tree in proc sys dev; do
    mkdir -p "$root/$tree"
    mount --rbind "/$tree" "$root/$tree"
done
shift
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" "$@"
"""


def inside(root: Path, *shared: Path) -> list[str]:
    """Return what is before a command to run it there; ``shared``: folders that it has as well."""
    return ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(root), *map(str, shared), "--"]
