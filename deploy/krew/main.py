# SPDX-License-Identifier: Apache-2.0
"""Runs the plugin from its archive, with the libraries that are for this Python."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LIBRARIES = FOLDER / f"cp{sys.version_info[0]}{sys.version_info[1]}"

if not LIBRARIES.is_dir():
    found = ".".join(map(str, sys.version_info[:2]))
    sys.stderr.write(f"kubectl oomkill: needs Python 3.11 to 3.14, python3 is {found}\n")
    sys.exit(3)
sys.path[:0] = [str(FOLDER / "lib"), str(LIBRARIES)]

from container_oomkill.cli.kubectl.main import main  # noqa: E402 - found only by now

sys.exit(main())
