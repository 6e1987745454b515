# SPDX-License-Identifier: Apache-2.0
"""The options that filter incidents: the query of the pages and the API, as options."""

from __future__ import annotations

from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _ArgumentGroup

    from ..sinks.query import Query

HELP = {
    "container": "containers whose name or service contains this, or whose id starts with it",
    "namespace": "namespaces whose name contains this",
    "pod": "pods whose name contains this",
    "workload": "workloads, services or units whose name contains this",
    "node": "nodes whose name contains this",
    "cgroup": "this cgroup, by its path or name, and all below it",
    "scope": "this scope: container, pod, cgroup, node, cpuset, mempolicy or manual",
    "shape": "this shape of the usage before the kill: leak, spike, start_up, sawtooth, plateau, "
    "ramp or limit_lowered",
    "since": "kills after this time: RFC 3339, or how long ago: 90s, 30m, 1h, 2d",
    "until": "kills before this time",
}
OF_THE_FUTURE = ("container", "namespace", "pod", "workload", "cgroup", "scope", "shape")
METAVARS = {"cgroup": "PATH", "scope": "SCOPE", "shape": "SHAPE", "since": "TIME", "until": "TIME"}
TITLE = "filters"
DESCRIPTION = "Only kills that match all of these. Case is ignored."


def add_filters(parser: ArgumentParser, names: tuple[str, ...]) -> _ArgumentGroup:
    """Add an option for each of ``names``, return their group; `query_from` reads them."""
    group = parser.add_argument_group(TITLE, DESCRIPTION)
    for name in names:
        metavar = METAVARS.get(name, "NAME")
        group.add_argument(f"--{name}", dest=f"filter_{name}", metavar=metavar, help=HELP[name])
    return group


def has_filters(args: Namespace) -> bool:
    return any(getattr(args, f"filter_{name}", None) is not None for name in HELP)


def query_from(args: Namespace, *, limit: int = 1) -> Query:
    """Return what the options ask for. Raises `UsageError` with what is wrong."""
    import time
    from dataclasses import replace

    from ..sinks.query import Query

    names = {name: getattr(args, f"filter_{name}", None) for name in HELP}
    given = {name: value for name, value in names.items() if value is not None}
    for name, value in given.items():
        if not value.strip():
            raise UsageError(f"--{name}: expected a value")
    try:
        return replace(Query.parse(given, time.time()), limit=limit)
    except ValueError as error:
        raise UsageError(f"--{error}") from error
