# SPDX-License-Identifier: Apache-2.0
"""Asks the API once, for `doctor`."""

from __future__ import annotations

from contextlib import closing

from ..doctor.report import Finding
from ..errors import UsageError
from .settings import known_node, open_api


def survey(kubernetes_node: str | None, kubeconfig: str | None) -> Finding:
    """Ask once for this node's pods."""
    try:
        node, api = known_node(kubernetes_node), open_api(kubeconfig)
    except UsageError as error:
        words, _, remedy = str(error).rpartition(": ")
        return Finding(False, words, remedy)
    from .errors import ApiError
    from .watch import PodWatch, remedy_of

    with closing(PodWatch(api, node)) as watch:
        try:
            watch.list()
        except ApiError as error:
            return Finding(False, f"{api.server}: {error}", remedy_of(error))
        count = len(watch.pods)
        return Finding(True, f"{count} pod{'s' * (count != 1)} on node {node} ({api.server})")
