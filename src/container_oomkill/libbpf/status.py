# SPDX-License-Identifier: Apache-2.0
"""Turns what a libbpf call returned into a value or a `BpfError`. The only reader of errno."""

from __future__ import annotations

import os

from ..errors import BpfError
from ._libbpf import ffi, lib

TYPE_CHECKING = False  # typing itself takes too long to import before attaching
if TYPE_CHECKING:
    from typing import Any

LOG_BYTES = 65536
FIRST_OF_LIBBPF = 4000


def check(result: int, action: str) -> int:
    """Return a call's result if it is not negative, else raise with the kernel's words."""
    if result >= 0:
        return result
    raise failure(-result, action)


def check_pointer(pointer: Any, action: str) -> Any:
    """Return a pointer if it is not NULL, else raise with the kernel's words."""
    if pointer != ffi.NULL:
        return pointer
    raise failure(ffi.errno, action)


def failure(errno: int, action: str) -> BpfError:
    return BpfError(errno, action, _words(errno), take_log())


def _words(errno: int) -> str:
    """libbpf has numbers of its own above the kernel's (LIBBPF_ERRNO__* in libbpf.h)."""
    if errno < FIRST_OF_LIBBPF:
        return os.strerror(errno).lower()
    buffer = ffi.new("char[]", 256)
    lib.libbpf_strerror(errno, buffer, 256)
    text: bytes = ffi.string(buffer)
    return text.decode().lower()


def capture_log(*, debug: bool = False) -> None:
    """Keep libbpf's log lines for errors instead of printing them; debug: all of them."""
    lib.oomkill_log_capture(debug)


def take_log() -> str:
    """Return the captured log, newest 64 KiB, and empty it."""
    buffer = ffi.new("char[]", LOG_BYTES)
    size = lib.oomkill_log_take(buffer, LOG_BYTES)
    return bytes(ffi.buffer(buffer, size)).decode("utf-8", "replace")


def possible_cpus() -> int:
    """CPUs this machine can ever have, hot-plugged ones included."""
    return check(lib.libbpf_num_possible_cpus(), "count the possible cpus")


def version() -> str:
    """Return libbpf's version, for example ``1.1``."""
    text: bytes = ffi.string(lib.libbpf_version_string())
    return text.decode().lstrip("v")
