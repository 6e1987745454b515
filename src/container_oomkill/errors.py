# SPDX-License-Identifier: Apache-2.0
"""The exceptions a user can meet, each one line, each with its exit status.

    Error                      1  a stage failed while running
    ├── UsageError             2  wrong option, missing or unreadable file
    ├── StuckError             1  asked to stop while nobody reads our output
    ├── HeldError              1  another process has the pins
    ├── RecordError            1  invalid bytes from the kernel or a recording
    └── UnsupportedError       3  this kernel or these privileges cannot run it
        ├── ObjectError        3  the BPF object is damaged, not ours or of another build
        └── BpfError           3  libbpf or the kernel refused; also an OSError

A message is action + object + the kernel's own words, and, where there is one, what to do:
lower case, no full stop.
"""

from __future__ import annotations


class Error(Exception):
    """Anything the user can fix; never shown with a traceback."""

    exit_status = 1


class UsageError(Error):
    exit_status = 2


class RecordError(Error):
    """A record that is too short, of another layout, or impossible."""


class HeldError(Error):
    """Another process holds what only one may hold."""


class StuckError(Error):
    """Asked to stop, and still waiting to write."""


class UnsupportedError(Error):
    exit_status = 3


class ObjectError(UnsupportedError):
    """The BPF object was refused before the kernel saw it."""


class BpfError(UnsupportedError, OSError):
    """A libbpf call failed.

    ``errno`` is the kernel's; ``log`` what libbpf and the verifier wrote, possibly empty.
    """

    def __init__(self, errno: int, action: str, words: str, log: str = "") -> None:
        OSError.__init__(self, errno, words)
        self.action = action
        self.log = log

    def __str__(self) -> str:
        return f"{self.action}: {self.strerror}"
