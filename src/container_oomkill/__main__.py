# SPDX-License-Identifier: Apache-2.0
"""Entry point for `container-oomkill` and `python -m container_oomkill`.

Until a command installs its own signal handlers, Ctrl-C ends the process as it would any other, not
with a traceback from whatever is being imported.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal itself takes long to import
import sys


def main() -> int:
    """Run the command line; the exit status of product and shell."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from .cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
