# SPDX-License-Identifier: Apache-2.0
"""What a command imports before it attaches."""

from __future__ import annotations

import subprocess
import sys

# Runs the command up to where it would attach, and prints what was imported till then.
UNTIL_ATTACHING = """
import sys
before = set(sys.modules)
from container_oomkill.cli.main import main
from container_oomkill.probe import attach
def stop(*_, **__):
    print(*sorted(set(sys.modules) - before))
    sys.exit(0)
attach.attach = stop
main(sys.argv[1:])
"""


def imported(*argv: str) -> set[str]:
    """The modules, without those that Python itself imports at its start."""
    folders = f"import sys; sys.path[:0] = {[each for each in sys.path if each]!r}\n"
    command = [sys.executable, "-I", "-c", folders + UNTIL_ATTACHING, *argv]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(done.stdout.split())
