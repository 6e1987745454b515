# SPDX-License-Identifier: Apache-2.0
"""Whether a request may pass: HTTP basic authentication against bcrypt hashes.

A check is slow on purpose: it runs outside the server's thread, one at a time. What passed once
passes at once from then on; of it only a hash is kept, by a key that this process alone has.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Mapping

from ...errors import UsageError
from . import passwords

REMEMBERED_PER_USER = 4  # spellings of one header
PASSWORD_MAX = 72  # bytes that bcrypt reads; htpasswd, and Go's bcrypt, leave out what follows


class BasicAuth:
    def __init__(self, users: Mapping[str, str]) -> None:
        """``users``: bcrypt hash by name, at least one. Raises `UsageError` without bcrypt."""
        if not passwords.knows_bcrypt():
            raise UsageError(
                "basic_auth_users: this system's libcrypt has no bcrypt: install libxcrypt"
            )
        self._checkpw = passwords.checkpw
        self._users = {name: hashed.encode() for name, hashed in users.items()}
        # Unknown names take as long as known ones: time must not tell who there is.
        self._costliest = max(self._users.values(), key=lambda hashed: hashed[4:6])
        self._key = os.urandom(32)
        self._passed: set[bytes] = set()

    def knows(self, header: str) -> bool:
        """Whether this very Authorization header passed before; takes no time."""
        return self._mark(header) in self._passed

    def check(self, header: str) -> bool:
        """Check an Authorization header; takes its time."""
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
            known = self._users.get(name.decode())
        except (ValueError, binascii.Error):
            return False
        fits = self._checkpw(password[:PASSWORD_MAX], known or self._costliest)
        if not (colon and known and fits):
            return False
        if len(self._passed) >= REMEMBERED_PER_USER * len(self._users):
            self._passed.clear()
        self._passed.add(self._mark(header))
        return True

    def _mark(self, header: str) -> bytes:
        return hmac.digest(self._key, header.encode("latin-1", "replace"), "sha256")
