# SPDX-License-Identifier: Apache-2.0
"""Opens listening sockets for addresses as users write them.

:9262             every interface, IPv6 and IPv4
127.0.0.1:9262    one address, or a host name
[::1]:9262        IPv6
unix:/run/x.sock  a unix socket, mode 0660
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass

from ...errors import UsageError

BACKLOG = 512
UNIX_MODE = 0o660
PORT_MAX = 65535
EVERY_INTERFACE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound


@dataclass(frozen=True, slots=True)
class Address:
    """``path`` of a unix socket, or ``host`` (empty: every interface) and ``port``."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Raises `UsageError` for what is no address."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise UsageError(f"--web.listen-address {text}: a unix socket needs an absolute path")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(
            f"--web.listen-address {text}: put an IPv6 address in brackets: [::1]:9262"
        )
    if not host.isascii():
        raise UsageError(
            f"--web.listen-address {text}: use the ASCII form of the host name (xn--...)"
        )
    if not colon or not (port.isascii() and port.isdigit()):
        raise UsageError(f"--web.listen-address {text}: expected HOST:PORT, :PORT or unix:/PATH")
    if len(port) > len(str(PORT_MAX)) or int(port) > PORT_MAX:
        raise UsageError(f"--web.listen-address {text}: the highest port is {PORT_MAX}")
    return Address(host, int(port))


class Listener:
    """A bound, listening, non-blocking socket; a unix socket's file goes away with it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        try:
            self.socket = _bind_unix(address.path) if address.path else _bind_tcp(address)
            self.socket.listen(BACKLOG)
        except socket.gaierror as error:
            raise UsageError(
                f"listen on {address}: {(error.strerror or str(error)).lower()}"
            ) from None
        except OverflowError as error:
            raise UsageError(f"listen on {address}: {error}") from None
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            raise UsageError(f"listen on {address}: {words}") from None
        self.socket.setblocking(False)

    @property
    def bound(self) -> Address:
        """The address with the port the kernel chose for port 0."""
        if self.address.path:
            return self.address
        host, port = self.socket.getsockname()[:2]
        return Address(host, port)

    def close(self) -> None:
        self.socket.close()
        if self.address.path:
            with contextlib.suppress(OSError):  # somebody was faster
                os.unlink(self.address.path)  # noqa: PTH108 - pathlib only for this


def _bind_tcp(address: Address) -> socket.socket:
    if not address.host:
        return _bind_everywhere(address.port)
    # As bytes: a str would be encoded by "idna", which brings large Unicode tables.
    found = socket.getaddrinfo(
        address.host.encode("ascii"), address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, where = found[0]
    return _bound(socket.socket(family, socket.SOCK_STREAM), where)


def _bind_everywhere(port: int) -> socket.socket:
    try:
        both = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        return _bound(both, ("::", port))
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
    # A machine without IPv6.
    return _bound(socket.socket(socket.AF_INET, socket.SOCK_STREAM), ("0.0.0.0", port))  # noqa: S104


def _bind_unix(path: str) -> socket.socket:
    _remove_stale(path)
    bound = _bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path)
    os.chmod(path, UNIX_MODE)  # noqa: PTH101 - pathlib only for this
    return bound


def _remove_stale(path: str) -> None:
    """Remove a socket nobody listens on: a process that was killed leaves one behind."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "this file exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # its owner may be stuck, and as many wait as it has room for
        try:
            probe.connect(path)
        except BlockingIOError:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from None
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108 - pathlib only for this
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _bound(unbound: socket.socket, where: tuple[object, ...] | str) -> socket.socket:
    try:
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        unbound.bind(where)  # of this socket's own family
    except BaseException:
        unbound.close()
        raise
    return unbound
