# SPDX-License-Identifier: Apache-2.0
"""Whose memory something was: a part of the `Incident`, filled in by the identity stage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Container:
    """Whose memory it was, as far as it is known."""

    id: str | None = None  # as the runtime gave it, full
    name: str | None = None
    runtime: str | None = None
    image: str | None = None
    pod: str | None = None
    namespace: str | None = None
    pod_uid: str | None = None
    workload: str | None = None
    type: str | None = None  # app, init, sidecar, ephemeral: Kubernetes', by its API
    # What it is counted as where its own name is new at every start: Swarm's or Compose's service,
    # Slurm's user, the runtime of a build step, a transient unit's pattern.
    service: str | None = None
    memory_request_bytes: int | None = None  # Kubernetes', by its API; 0: none
    unresolved: str | None = None  # why there is no name, or only its cgroup's


UNNAMED = Container()
