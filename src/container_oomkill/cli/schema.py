# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill schema`: the JSON Schema of the records that this version writes."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


def command(_: Namespace) -> int:
    """Print it."""
    from ..sinks.schema import text

    sys.stdout.write(text())
    return 0
