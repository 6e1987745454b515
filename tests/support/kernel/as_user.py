# SPDX-License-Identifier: Apache-2.0
"""Runs a command as a user with ambient capabilities: systemd's User= and AmbientCapabilities=.

And its LimitMEMLOCK=infinity, without which no BPF map can be made before Linux 5.11.

    python as_user.py UID COMMAND...

setpriv(1) wants every capability there is to give some of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys

# Of include/uapi/linux/capability.h and prctl.h; those the unit has for kernels since 5.11.
BPF, PERFMON, DAC_READ_SEARCH = 39, 38, 2
VERSION_3 = 0x20080522
KEEP_CAPABILITIES, AMBIENT, AMBIENT_RAISE = 8, 47, 2


def main(uid: int, command: list[str]) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with contextlib.suppress(ValueError):  # not permitted: a newer kernel needs it not
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    wanted = sum(1 << each for each in (BPF, PERFMON, DAC_READ_SEARCH))
    low, high = wanted & 0xFFFFFFFF, wanted >> 32
    header = struct.pack("=Ii", VERSION_3, 0)
    if libc.capset(header, struct.pack("=6I", low, low, low, high, high, high)):
        raise OSError(ctypes.get_errno(), "capset")
    for each in (BPF, PERFMON, DAC_READ_SEARCH):
        if libc.prctl(AMBIENT, AMBIENT_RAISE, each, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
