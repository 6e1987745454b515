# SPDX-License-Identifier: Apache-2.0
"""Takes the socket of an engine with Docker's API, gives names: for state that cannot be mounted.

Docker's, and Podman's, which speaks the same (docs.docker.com/reference/api/engine). Opt-in:
whoever has that socket may do anything to the machine. A thread of its own lists the containers,
then is told of those that start and go; nothing is asked at a kill.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import quote

from ...system import bounded_json, log
from ...system.closeable import Closeable
from ...system.worker import Worker
from .. import metadata
from ..metadata import MIB, ContainerMetadata, Key
from ..store import Store
from .docker import service_of

ANSWER_MAX = 4 * MIB  # of a thousand containers it is 1 to 3
PARTS_MAX = 100_000  # some 20 MiB, decoded
LINE_MAX = MIB
SECONDS = 10.0  # for an answer
AGAIN_SECONDS = (1.0, 30.0)  # after a failure, doubled up to the second
LIST = "/containers/json?all=true"
COMES, RENAMED, GOES = ("create", "start"), "rename", "destroy"
EVENTS = "/events?filters=" + quote(
    json.dumps({"type": ["container"], "event": [*COMES, RENAMED, GOES, "remove"]})
)


class RefusedError(Exception):
    """The engine, or the way to it, said no."""


FAULTS = (RefusedError, OSError, http.client.HTTPException)


class EngineSocket(Closeable):
    """Names by id; a context manager."""

    def __init__(
        self,
        path: str,
        *,
        first_seconds: float = AGAIN_SECONDS[0],
    ) -> None:
        self.store = Store()
        self._path = path
        self._first_seconds = first_seconds
        self._log = log.Once(f"ask {path} for containers")
        self._listening: socket.socket | None = None
        self.worker = Worker("engine")

    def __enter__(self) -> Self:
        self.worker.start(self._run, wake=self._hang_up)
        return self

    def close(self) -> None:
        """End the thread."""
        self.worker.close()

    def _hang_up(self) -> None:
        if (listening := self._listening) is not None:
            with contextlib.suppress(OSError):  # the engine was first
                listening.shutdown(socket.SHUT_RDWR)

    def find(self, container_id: str, pod_uid: str | None) -> ContainerMetadata | None:  # noqa: ARG002 - has no pods
        """Return what is known of a container; never asks."""
        self.worker.check()
        return self.store.lookup((0, container_id))

    def _run(self) -> None:
        wait = self._first_seconds
        while not self.worker.ending:
            try:
                self._follow()
                wait = self._first_seconds
            except FAULTS as error:
                if not self.worker.ending:
                    self._log.warn(words_of(error))
            self.worker.pause(wait)
            wait = min(wait * 2, AGAIN_SECONDS[1])

    def _follow(self) -> None:
        """Listen, then list: what happens in between comes twice, and nothing is missed."""
        connection = self._connect()
        listening: socket.socket = connection.sock
        try:
            response = self._ask(connection, EVENTS)
            self.list()
            self._listening = listening
            if self.worker.ending:
                return
            self._log.clear()
            listening.settimeout(None)
            while line := response.readline(LINE_MAX):
                self._take(metadata.mapping(_decode(line)))
        finally:
            self._listening = None
            connection.close()

    def list(self) -> None:
        """Learn all containers there are. Raises `RefusedError`, OSError."""
        found: dict[Key, ContainerMetadata] = {}
        for each in self._get(LIST):
            if (known := read(each)) is not None:
                found[known.key()] = known
        for known in found.values():
            self.store.put(known)
        for known in self.store.live():
            if known.key() not in found:
                self.store.gone(known.key())

    def _take(self, event: Any) -> None:
        container_id = metadata.mapping(event.get("Actor")).get("ID")
        if not isinstance(container_id, str) or not metadata.is_id(container_id):
            return
        if event.get("Action") in (*COMES, RENAMED):
            wanted = quote(json.dumps({"id": [container_id]}))
            for each in self._get(f"{LIST}&filters={wanted}"):
                if (known := read(each)) is not None:
                    self.store.put(known)
        else:
            self.store.gone((0, container_id))

    def _get(self, target: str) -> Sequence[Any]:
        connection = self._connect()
        try:
            data = self._ask(connection, target).read(ANSWER_MAX + 1)
        finally:
            connection.close()
        if len(data) > ANSWER_MAX:
            raise RefusedError(f"an answer of more than {ANSWER_MAX // MIB} MiB")
        listed = _decode(data)
        if listed is None:  # as Go writes a list that it has not made
            return []
        if not isinstance(listed, list):
            raise RefusedError("an answer that is no list")
        return listed

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(SECONDS)
        try:
            connection.sock.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection

    def _ask(self, connection: http.client.HTTPConnection, target: str) -> http.client.HTTPResponse:
        connection.request("GET", target)
        response = connection.getresponse()
        if response.status != 200:
            raise RefusedError(f"{target.partition('?')[0]}: {response.status} {response.reason}")
        return response


def read(entry: Any) -> ContainerMetadata | None:
    """Return what one entry of the list says; any image may set labels: no pod is believed."""
    entry = metadata.mapping(entry)
    container_id, names = entry.get("Id"), entry.get("Names")
    if not isinstance(container_id, str) or not metadata.is_id(container_id):
        return None
    # Names of links to it have another container's in front: /other/name.
    own = [name for name in names if _is_own(name)] if isinstance(names, list) else []
    name = metadata.text(own[0].removeprefix("/")) if own else None
    image = metadata.text(entry.get("Image"))
    service = service_of(name, metadata.mapping(entry.get("Labels")))
    return ContainerMetadata(container_id, "", name=name, image=image, service=service)


def _is_own(name: object) -> bool:
    return isinstance(name, str) and "/" not in name.removeprefix("/")


def _decode(data: bytes) -> Any:
    try:
        return bounded_json.loads(data, parts_max=PARTS_MAX)
    except ValueError:
        raise RefusedError("an answer that is not JSON, or has too much of it") from None


def words_of(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
