# SPDX-License-Identifier: Apache-2.0
"""Whose memory something was: a part of the `Incident`, filled in by the identity stage."""

from __future__ import annotations

from dataclasses import dataclass

# The usual reasons of `Container.unresolved`; a state file that cannot be read has others.
NOT_FOUND = "not_found"  # the runtimes' state does not have it
NO_STATE = "no_state"  # there is no runtime's state here, or its runtime keeps none that is read
NO_NAME = "no_name"  # it is known, and was given no name
PATH_CUT = "path_cut"  # its cgroup's path is too long to tell whose it is
UNKNOWN_FORM = "unknown_form"  # its cgroup is named as no runtime known here names one
UNRESOLVED = (NO_NAME, NO_STATE, NOT_FOUND, PATH_CUT, UNKNOWN_FORM)


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
