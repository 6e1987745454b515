# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill schema`: the JSON Schema of the records that this version writes."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


def command(args: Namespace) -> int:
    """Print it; there are no options."""
    del args
    from ..sinks.schema import text

    sys.stdout.write(text())
    return 0
