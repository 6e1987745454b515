# SPDX-License-Identifier: Apache-2.0
"""Leaves out what Python's own modules import and we never need, until somebody does need it.

`dataclasses` imports inspect, and with it ast, dis and tokenize, for classes without a docstring;
urllib.parse imports ipaddress for addresses in brackets. That is 1.3 MiB of a process that is on
every node, and some ms of its start. importlib.util.LazyLoader would be the way, but an import of a
module that it has left out is enough to load it, in Python 3.6 as in 3.13.
"""

from __future__ import annotations

import sys
from _thread import RLock  # threading imports more than that
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SELDOM_USED = ("inspect", "ipaddress")
_taking = RLock()  # the place of a stand-in, which two threads may ask for something at once


class _Later(ModuleType):
    """Stands for a module until something of it is asked for, and has all of it from then on."""

    def __getattr__(self, name: str) -> Any:
        from importlib import import_module

        with _taking:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
            module = import_module(self.__name__)
            self.__dict__.update(module.__dict__)
        return getattr(module, name)


def import_later(*names: str) -> None:
    """Import these modules when something of them is asked for; those there are stay."""
    for name in names:
        sys.modules.setdefault(name, _Later(name))
