# SPDX-License-Identifier: Apache-2.0
"""Takes the options, gives what the cluster's API says to them: for `doctor`."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing

from ..doctor.report import Finding
from ..errors import UsageError
from .settings import node_of, open_api


def survey(args: Namespace) -> Finding:
    """Ask once for this node's pods."""
    try:
        node, api = node_of(args), open_api(args)
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
