# SPDX-License-Identifier: Apache-2.0
"""Reads from and writes to an accepted socket without blocking."""

from __future__ import annotations

import contextlib
import socket


class WantRead(Exception):  # noqa: N818 - a wish, not an error
    """Nothing to read yet."""


class WantWrite(Exception):  # noqa: N818 - a wish, not an error
    """No room to write yet."""


class Gone(Exception):  # noqa: N818 - clients go
    """The client is gone, or broke the protocol below HTTP."""


class Stream:
    """A client that speaks plain HTTP."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock

    def handshake(self) -> None:
        """Raise `WantRead`, `WantWrite` or `Gone`, or be done."""

    def read(self, size: int) -> bytes:
        """Return what is there, empty at the end; raise `WantRead`, `WantWrite` or `Gone`."""
        try:
            return self.socket.recv(size)
        except BlockingIOError:
            raise WantRead from None
        except OSError:
            raise Gone from None

    def write(self, data: memoryview) -> int:
        """Return how much was taken; raise `WantRead`, `WantWrite` or `Gone`."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            raise WantWrite from None
        except OSError:
            raise Gone from None

    def end(self) -> None:
        """Tell the client that nothing more comes."""
        with contextlib.suppress(OSError):  # it went first
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()
