# SPDX-License-Identifier: Apache-2.0
"""Entry point of kubectl-oomkill.

Exit status: 0 done; 1 failed, or nodes are missing in the answer; 2 wrong usage; 3 no right to ask.
"""

from __future__ import annotations

import sys

from ...errors import UsageError
from ...system import log
from ..main import ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

EXTRA = "container-oomkill[kubernetes]"


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    return ended(lambda: _main(sys.argv[1:] if argv is None else argv))


def _main(argv: Sequence[str]) -> int:
    from .parser import NAME, parse

    log.configure(program=NAME)
    try:
        args = parse(argv)
    except SystemExit:  # help or version was asked for, and is printed
        return 0
    try:
        from .commands import run
        from .session import KubectlSettings
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: pip install '{EXTRA}'") from None
    return run(KubectlSettings.from_args(args), sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
