# SPDX-License-Identifier: Apache-2.0
"""Imports prometheus_client without its HTTP stack.

prometheus_client imports a web server, a WSGI server, an HTTPS client and OpenSSL, for its own
server and for the push gateway. We use none of these, and they cost more memory than the rest of it
(docs/benchmarks.md, "What stays by hand"). The modules that import them get stand-ins instead.
No other does, as another thread may be importing the real ones. If a later version does not work
that way, it is imported whole. docs/upstream.md has what upstream could change, so that none of
this is needed.

Every other module imports prometheus_client from here, when it is needed for the first time: at the
first scrape, not before the exporter serves.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

# By the module that imports them.
UNUSED = {
    "prometheus_client.exposition": (
        "gzip",
        "http.server",
        "socketserver",
        "ssl",
        "urllib.error",
        "urllib.request",
        "wsgiref.simple_server",
    ),
    "prometheus_client.context_managers": ("decorator",),  # of functions; imports inspect, 1 MiB
}


class _StandIn(ModuleType):
    """A module of which every name is an empty class: enough to be inherited from."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@contextlib.contextmanager
def _without_http() -> Iterator[None]:
    real = builtins.__import__

    def instead(name: str, *rest: Any, **named: Any) -> ModuleType:
        importer = rest[0].get("__name__", "") if rest and rest[0] else ""  # its globals
        if name in UNUSED.get(importer, ()):
            return _StandIn(name)
        return real(name, *rest, **named)

    builtins.__import__ = instead
    try:
        yield
    finally:
        builtins.__import__ = real


def _import() -> None:
    try:
        with _without_http():
            importlib.import_module("prometheus_client")
    except Exception:  # noqa: BLE001 - whatever a later version does with a stand-in
        for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
            del sys.modules[name]


_import()

from prometheus_client import ProcessCollector, generate_latest  # noqa: E402
from prometheus_client.exposition import choose_encoder  # noqa: E402
from prometheus_client.metrics_core import Metric  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402
from prometheus_client.samples import Sample  # noqa: E402
from prometheus_client.utils import floatToGoString  # noqa: E402

# Writes a number as both formats do.
go_float: Callable[[float], str] = floatToGoString


class One(Collector):
    """A registry of one family."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


__all__ = [
    "Collector",
    "Metric",
    "One",
    "ProcessCollector",
    "Sample",
    "choose_encoder",
    "generate_latest",
    "go_float",
]
