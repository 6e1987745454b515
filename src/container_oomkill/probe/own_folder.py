# SPDX-License-Identifier: Apache-2.0
"""Opens a folder that nobody but us, or root, can have prepared or can change.

A bpf file system is mounted for everyone to write unless told otherwise, as /tmp is. Root would
take up, and remove, what a user has put there; through a symbolic link, anywhere else as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from ..errors import UnsupportedError
from ..system.closeable import Closeable

FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class OwnFolder(Closeable):
    """An open folder; what is in it is opened and removed by its descriptor, never by a link."""

    def __init__(self, path: str, fd: int) -> None:
        """``fd`` is closed with this."""
        self.path = path
        self.fd = fd

    @classmethod
    def open(cls, path: str, *, make: bool = False) -> OwnFolder:
        """Walk to ``path``; ``make`` its last folder if it is missing, for us alone.

        Everything on the way belongs to us or to root, is no symbolic link, and nobody else may
        rename what is in it: so the path keeps leading here. Raises `UnsupportedError` with the
        name of what is another's, OSError.
        """
        *above, last = [name for name in os.path.abspath(path).split("/") if name] or [""]
        folder = cls("", os.open("/", FLAGS))
        try:
            for name in above:
                folder = folder._step(name)
                folder._check(stat.S_ISVTX)
            if make and last:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(last, 0o700, dir_fd=folder.fd)
            folder = folder._step(last)
            folder._check(0)
        except BaseException:
            folder.close()
            raise
        return folder

    def below(self, name: str) -> OwnFolder:
        """Open a folder in it. Raises `UnsupportedError` for a symbolic link, OSError."""
        try:
            fd = os.open(name, FLAGS, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP) and self._is_link(name):
                raise _refused(f"{self.path}/{name}", "is a symbolic link") from error
            raise
        return OwnFolder(f"{self.path}/{name}", fd)

    def names(self) -> list[str]:
        return os.listdir(self.fd)

    def unlink(self, name: str) -> None:
        os.unlink(name, dir_fd=self.fd)

    def rmdir(self, name: str) -> None:
        os.rmdir(name, dir_fd=self.fd)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _step(self, name: str) -> OwnFolder:
        below = self.below(name)
        self.close()
        return below

    def _is_link(self, name: str) -> bool:
        return stat.S_ISLNK(os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode)

    def _check(self, protected_by: int) -> None:
        """``protected_by``: the mode's bit that lets others write here and not change ours."""
        status = os.fstat(self.fd)
        if status.st_uid not in (0, os.geteuid()):
            raise _refused(self.path, f"belongs to user {status.st_uid}")
        if status.st_mode & OTHERS_WRITE and not status.st_mode & protected_by:
            raise _refused(
                self.path, f"may be written by others (mode {status.st_mode & 0o7777:o})"
            )


def _refused(path: str, words: str) -> UnsupportedError:
    return UnsupportedError(
        f"pin the hooks: {path} {words}: --pin a directory that only we and root can change"
    )
