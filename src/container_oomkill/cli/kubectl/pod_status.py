# SPDX-License-Identifier: Apache-2.0
"""What the API itself says of how a pod's containers ended, for a pod without a recorded kill."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from ...kubernetes.api import Api
from ...kubernetes.errors import ApiError
from ...sinks.printable import printable


class _Ended(msgspec.Struct, rename="camel"):
    exit_code: int = 0
    reason: str = ""
    finished_at: str | None = None


class _State(msgspec.Struct):
    terminated: _Ended | None = None


class _Container(msgspec.Struct, rename="camel"):
    name: str = ""
    state: _State | None = None
    last_state: _State | None = None

    def ended(self) -> _Ended | None:
        for state in (self.state, self.last_state):
            if state is not None and state.terminated is not None:
                return state.terminated
        return None


class _Status(msgspec.Struct, rename="camel"):
    reason: str = ""
    container_statuses: list[_Container] | None = None
    init_container_statuses: list[_Container] | None = None
    ephemeral_container_statuses: list[_Container] | None = None


class _Pod(msgspec.Struct):
    status: _Status


def last_ends(api: Api, namespace: str, pod: str) -> list[str]:
    """Return a line about each container that has ended; none if the API does not say.

    A person may be allowed to see kills and no pods, and the pod may be gone.
    """
    try:
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"
        return list(_lines(api.get(path, _Pod).status))
    except ApiError:
        return []


def _lines(status: _Status) -> Iterator[str]:
    if status.reason:
        yield f"the pod: {printable(status.reason)}"  # Evicted
    for each in (
        *(status.init_container_statuses or ()),
        *(status.container_statuses or ()),
        *(status.ephemeral_container_statuses or ()),
    ):
        if (ended := each.ended()) is not None:
            when = f" at {printable(ended.finished_at)}" if ended.finished_at else ""
            reason = f" ({printable(ended.reason)})" if ended.reason else ""
            yield f"{printable(each.name)}: exit code {ended.exit_code}{reason}{when}"
