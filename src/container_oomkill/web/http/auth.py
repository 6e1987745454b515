# SPDX-License-Identifier: Apache-2.0
"""Takes a file of users and password hashes, gives whether a request may pass (HTTP basic auth).

One user a line: ``NAME:$pbkdf2-sha256$ROUNDS$SALT$HASH``, the form passlib writes as well; empty
lines and lines that begin with # are skipped. `python -m container_oomkill.web.http.auth NAME` asks
for a password and prints the line.

PBKDF2 because Python has it without a further package; scrypt, which it has too, takes 16 MiB for
each check, more than this whole process. A check takes some 0.2 s on purpose: it runs outside the
server's thread, and what passed once is remembered (as a keyed hash) and passes at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError

SCHEME = "pbkdf2-sha256"
ROUNDS = 600_000
ROUNDS_MIN, ROUNDS_MAX = 1_000, 10_000_000
SALT_BYTES = 16
REMEMBERED_PER_USER = 4  # spellings of one header


@dataclass(frozen=True, slots=True)
class PasswordHash:
    rounds: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: bytes, *, rounds: int = ROUNDS) -> PasswordHash:
        salt = os.urandom(SALT_BYTES)
        return cls(rounds, salt, _derive(password, salt, rounds))

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Raises `ValueError`."""
        empty, scheme, rounds, salt, digest = text.split("$")
        number = int(rounds)
        if empty or scheme != SCHEME or not ROUNDS_MIN <= number <= ROUNDS_MAX:
            raise ValueError(text)
        return cls(number, _decode(salt), _decode(digest))

    def __str__(self) -> str:
        return f"${SCHEME}${self.rounds}${_encode(self.salt)}${_encode(self.digest)}"

    def fits(self, password: bytes) -> bool:
        return hmac.compare_digest(_derive(password, self.salt, self.rounds), self.digest)


class BasicAuth:
    def __init__(self, users: dict[str, PasswordHash]) -> None:
        self._users = users
        # Unknown names take as long as known ones: time must not tell who there is.
        self._nobody = PasswordHash.of(b"")
        self._key = os.urandom(32)
        self._passed: set[bytes] = set()

    @classmethod
    def load(cls, path: str) -> BasicAuth:
        """Raises `UsageError` for a file that cannot be read or has a line that makes no sense."""
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise UsageError(f"read users from {path}: not UTF-8 text") from None
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            raise UsageError(f"read users from {path}: {words}") from None
        users: dict[str, PasswordHash] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, text = line.strip().partition(":")
            try:
                if not name:
                    raise ValueError(line)
                users[name] = PasswordHash.parse(text)
            except (ValueError, binascii.Error):
                raise UsageError(
                    f"read users from {path}: line {number}: expected NAME:${SCHEME}$..., "
                    "made by `python -m container_oomkill.web.http.auth NAME`"
                ) from None
        if not users:
            raise UsageError(f"read users from {path}: there is none")
        return cls(users)

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
        fits = (known or self._nobody).fits(password)
        if not (colon and known and fits):
            return False
        if len(self._passed) >= REMEMBERED_PER_USER * len(self._users):
            self._passed.clear()
        self._passed.add(self._mark(header))
        return True

    def _mark(self, header: str) -> bytes:
        return hmac.digest(self._key, header.encode("latin-1", "replace"), "sha256")


def _derive(password: bytes, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, salt, rounds)


def _encode(data: bytes) -> str:
    """passlib's base64: no padding, a dot for the plus."""
    return base64.b64encode(data, b"./").rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"./", validate=True)


def _main(arguments: list[str]) -> str:
    import getpass
    import sys

    if len(arguments) != 1 or not arguments[0] or ":" in arguments[0]:
        raise SystemExit(
            "usage: python -m container_oomkill.web.http.auth NAME  (asks for the password)"
        )
    if sys.stdin.isatty():
        password = getpass.getpass(f"password for {arguments[0]}: ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise SystemExit("container-oomkill: an empty password is none")
    return f"{arguments[0]}:{PasswordHash.of(password.encode())}"


if __name__ == "__main__":
    import sys

    print(_main(sys.argv[1:]))  # noqa: T201 - the line is for the file
