# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with the rig itself; a command that merely fails in a guest is a result.

    VmError
    |-- TableError      kernels.toml, or a name that is not in it
    |-- PackageError    no mirror, no package, a failed download or unpacking
    `-- GuestError      the guest did not boot, died, or ran out of time

Each message is action + object + what to do, for a person who reads no traceback.
"""


class VmError(Exception):
    """Base of all."""


class TableError(VmError):
    """The table of kernels is wrong or does not hold what was asked for."""


class PackageError(VmError):
    """A kernel could not be brought from the package archive into the cache."""


class GuestError(VmError):
    """A guest gave no exit status; the message ends with its last console lines."""
