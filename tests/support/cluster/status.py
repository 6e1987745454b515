# SPDX-License-Identifier: Apache-2.0
"""Takes a pod of the API, gives what it says of how a container ended last."""

from __future__ import annotations

from .api import Object

KINDS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def last_end(pod: Object, container: str) -> Object:
    """Return the state it ended in last; empty where it has not ended."""
    for kind in KINDS:
        for status in pod["status"].get(kind, ()):
            if status["name"] == container:
                for state in (status["state"], status.get("lastState", {})):
                    if ended := state.get("terminated"):
                        found: Object = ended
                        return found
    return {}


def end_of(pod: Object, container: str) -> str:
    """Return reason and exit code of its last end, as `kubectl describe` has them."""
    ended = last_end(pod, container)
    return f"{ended['reason']} {ended['exitCode']}" if ended else "nothing"
