# SPDX-License-Identifier: Apache-2.0
"""What a test has of the cluster."""

from __future__ import annotations

from dataclasses import dataclass

from .api import Api
from .control_plane import ControlPlane
from .kubectl import Kubectl
from .node import Node


@dataclass(frozen=True)
class Cluster:
    """A control plane with its only node."""

    plane: ControlPlane
    node: Node
    kubectl: Kubectl

    @property
    def api(self) -> Api:
        return self.plane.api

    @property
    def minor(self) -> int:
        return int(self.plane.programs.version.split(".")[1])
