# SPDX-License-Identifier: Apache-2.0
"""Which names in a Host header are ours: a page of another site must not pass for us.

A site may have its own name resolve to our address (DNS rebinding): the browser of whoever looks at
it then reads our pages for it, behind every firewall. It cannot do so by address, nor by a name
that only local resolvers know. With TLS or users it gets nothing either way.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

# None of them is sold: RFC 6761, 6762, 8375, ICANN's .internal, and a cluster's services.
LOCAL = (".localhost", ".local", ".home.arpa", ".internal", ".svc")
RESOLV_CONF = "/etc/resolv.conf"
PORT = re.compile(r":[0-9]{0,5}\Z")


def local_names(node: str, *, resolv_conf: str = RESOLV_CONF) -> list[str]:
    """Return the node's name, alone and in each domain that this machine searches."""
    try:
        with open(resolv_conf, encoding="ascii", errors="replace") as file:  # noqa: PTH123
            lines = [line.split() for line in file]
    except OSError:
        lines = []
    domains = [each for line in lines if line[:1] in (["search"], ["domain"]) for each in line[1:]]
    return [node, *(f"{node}.{domain.strip('.')}" for domain in domains)]


class Hosts:
    """``allowed``: names, those that start with a dot for all below them; ``*`` for any."""

    def __init__(self, allowed: Iterable[str], url: str | None = None) -> None:
        """``url``: of ours, whose host is allowed."""
        host = urlsplit(url).hostname if url else None
        names = [*allowed, *([host] if host else [])]
        self._any = "*" in names
        self._names = {name.lower().rstrip(".") for name in names}
        self._below = (*LOCAL, *(name for name in self._names if name.startswith(".")))

    def knows(self, host: str) -> bool:
        """``host``: as in the header; empty where a client gave none, which no browser does."""
        name = PORT.sub("", host.strip()).lower().rstrip(".")
        return (
            self._any
            or "." not in name.strip("[]")
            or name in self._names
            or name.endswith(self._below)
            or _is_address(name)
        )


def _is_address(name: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name.strip("[]"))
    except (OSError, ValueError):
        return False
    return True
