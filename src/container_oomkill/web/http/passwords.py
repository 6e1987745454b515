# SPDX-License-Identifier: Apache-2.0
"""Checks a password against its bcrypt hash, by crypt(3) of libxcrypt.

On most distributions libxcrypt also checks the passwords of the system's own users.
"""

from __future__ import annotations

import hmac

from ._crypt import ffi, lib

# From the tests of crypt_blowfish, on which bcrypt in libxcrypt is based.
KNOWN = (b"U*U", b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")


def checkpw(password: bytes, hashed: bytes) -> bool:
    """Takes as long as the hash's cost says, without the GIL: other threads run meanwhile."""
    if b"\0" in password:
        return False  # to crypt, a password ends at the first NUL
    made = lib.crypt_r(password, hashed, ffi.new("struct crypt_data *"))
    return made != ffi.NULL and hmac.compare_digest(ffi.string(made), hashed)


def knows_bcrypt() -> bool:
    """Whether this system's libcrypt knows bcrypt; the old one of glibc does not."""
    return checkpw(*KNOWN)
