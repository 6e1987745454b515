# SPDX-License-Identifier: Apache-2.0
"""Headers from a file, ``NAME: VALUE`` a line: tokens and keys never stand on a command line.

The file is read for each request: whoever renews a token needs not restart anything.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UsageError

BYTES_MAX = 64 << 10
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110, 5.6.2
VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
OURS = ("content-encoding", "content-length", "content-type", "host", "transfer-encoding")


def read_headers(path: str) -> dict[str, str]:
    """Return them. Raises `UsageError`, which has the line's number and not what is in it."""
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or not NAME.fullmatch(name) or not VALUE.fullmatch(value):
            raise UsageError(f"{path}: line {number}: expected NAME: VALUE in printable ASCII")
        if name.lower() in OURS:
            raise UsageError(f"{path}: line {number}: {name} is not for this file to set")
        found[name] = value
    return found


def read_secret(path: str) -> str:
    """Return the one line of a file. Raises `UsageError`."""
    text = _text(path).strip()
    if not text or not text.isprintable():
        raise UsageError(f"{path}: expected one line")
    return text


def _text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(BYTES_MAX + 1)
        if len(data) > BYTES_MAX:
            raise UsageError(f"{path}: larger than 64 KiB")
        return data.decode()
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8") from None
