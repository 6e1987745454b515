# SPDX-License-Identifier: Apache-2.0
"""Takes a user's id and a container id, gives the name the user's own rootless runtime has for it.

Only for a container in that user's own cgroups: a user's files name nobody else's containers.
Nothing is watched, since walking all homes mounts them on hosts with autofs. A home may hang (a
dead file server), so each look is a thread's that is given up on after a moment. And a user
decides how often somebody of theirs is killed, and what is read then: so looks are limited, too.
"""

from __future__ import annotations

from ...system.allowance import Allowance
from ...system.worker import Worker
from ..metadata import ContainerMetadata, Key
from . import docker, podman
from .state import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .state import RuntimeState

USERS = "/etc/passwd"
PATIENCE_SECONDS = 0.1
LOOKS_AT_ONCE, LOOK_SECONDS = 20, 0.5  # of one user's: each is for a container not known yet


class RootlessUsers:
    """Rootless Podman's and Docker's state, in the homes that ``users``, a passwd file, lists."""

    runtime = "rootless"

    def __init__(
        self, users: str = USERS, root: str = "", *, patience: float = PATIENCE_SECONDS
    ) -> None:
        """``root``: goes before the homes' paths, where the host's are mounted elsewhere."""
        self.folder = users
        self._root = root
        self._patience = patience
        self._looking = Worker("rootless")
        self._looks = Allowance(LOOKS_AT_ONCE, LOOK_SECONDS)

    def watched(self) -> list[str]:
        return []

    def stamp(self) -> object:
        return None

    def settled(self, stamp: object) -> bool:
        return stamp is None

    def keys(self) -> set[Key]:
        return set()

    def version(self, key: Key) -> object:
        return key

    def find(self, key: Key) -> ContainerMetadata | None:
        owner = key[0]
        if owner == 0:
            return None
        if self._looking.running:
            raise StateError("slow", self.folder)
        if not self._looks.take(owner):
            raise StateError("too_often", self.folder)
        answers: list[ContainerMetadata | StateError | None] = []
        self._looking = Worker("rootless")
        self._looking.start(lambda: self._look(key, answers))
        self._looking.close(self._patience)
        self._looking.check()
        if not answers:
            raise StateError("slow", self.folder)
        if isinstance(answers[0], StateError):
            raise answers[0]
        return answers[0]

    def _look(self, key: Key, answers: list[ContainerMetadata | StateError | None]) -> None:
        try:
            answers.append(self._read(key))
        except StateError as error:
            answers.append(error)

    def _read(self, key: Key) -> ContainerMetadata | None:
        home = self._home(key[0])
        if home is None:
            return None
        sources: tuple[RuntimeState, ...] = (
            podman.Podman(home, podman.ROOTLESS, key[0]),
            docker.docker(home, docker.ROOTLESS, key[0]),
        )
        return next(filter(None, (source.find(key) for source in sources)), None)

    def _home(self, uid: int) -> str | None:
        """Return a user's home; of a uid that is one of a user's subordinate ones, that user's.

        In a rootless container only root is the user, all others are subordinate.
        """
        users = [fields for fields in _lines(self.folder) if len(fields) > 5]
        mine = next((fields for fields in users if fields[2] == str(uid)), None)
        if mine is None:
            lent = self.folder.removesuffix("passwd") + "subuid"
            whose = next((fields[0] for fields in _lines(lent) if _has(fields, uid)), None)
            mine = next((fields for fields in users if whose in (fields[0], fields[2])), None)
        return self._root + mine[5] if mine and mine[5].startswith("/") else None


def _lines(path: str) -> list[list[str]]:
    try:
        with open(  # noqa: PTH123 - pathlib takes longer to import than this file
            path, encoding="utf-8", errors="surrogateescape"
        ) as file:
            return [line.rstrip("\n").split(":") for line in file]
    except OSError:
        return []


def _has(fields: list[str], uid: int) -> bool:
    """A line of subuid(5): user, first uid, how many."""
    numbers = [int(text) for text in fields[1:] if text.isascii() and text.isdecimal()]
    return len(fields) == 3 and len(numbers) == 2 and 0 <= uid - numbers[0] < numbers[1]
