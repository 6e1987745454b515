# SPDX-License-Identifier: Apache-2.0
"""Runs `kubectl oomkill`: lists, describes, or says why; and which nodes are missing."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import Error
from ...kubernetes.api import Api
from ...sinks.printable import printable
from ...sinks.query import Query, named
from ...sinks.terminal_list import EACH
from ...system import log
from ..show import find, show_incidents, write_records
from .cluster import reach
from .named_object import NamedObject, named_object
from .parser import DESCRIBE, LIMIT_MAX, NAME, WATCH, WHY
from .pod_status import last_ends
from .session import Fleet, KubectlSettings, write_as_it_came
from .watch import watch

if TYPE_CHECKING:
    from typing import TextIO

    from ...fleet.answers import Found
    from ...fleet.exporters import Exporter
    from ...fleet.gather import Gathered
    from ...incident.model import Incident

AGENT = "kubectl-oomkill"
CONNECTIONS = 32
AMBIGUOUS_MOST = 20  # of incidents whose ids start alike
USUAL_NAMESPACE = "default"


def run(settings: KubectlSettings, stdout: TextIO) -> int:
    """Do what is asked for; 1 where nodes are missing in the answer."""
    access = reach(settings.kubeconfig, settings.context)
    patience = settings.seconds
    with closing(Api(access, agent=AGENT, patience=patience, connections=CONNECTIONS)) as api:
        fleet = Fleet(settings, api)
        if settings.action == WATCH:
            return watch(settings, fleet, stdout)
        if settings.action == DESCRIBE:
            return _describe(settings, fleet, stdout)
        if settings.action == WHY:
            return _why(settings, fleet, stdout, api, access.namespace or USUAL_NAMESPACE)
        return _list(settings, fleet, stdout)


def _list(settings: KubectlSettings, fleet: Fleet, stdout: TextIO) -> int:
    gathered = fleet.gather(settings.query, settings.limit or LIMIT_MAX)
    _show(settings, gathered, stdout)
    return _say_missing(gathered)


def _show(settings: KubectlSettings, gathered: Gathered, stdout: TextIO) -> None:
    incidents = gathered.incidents()
    if settings.output == "json":
        for found in reversed(gathered.found):
            write_as_it_came(found, stdout)
    elif settings.output != "text":
        write_records(incidents, stdout, settings.output, wanted=None)
    elif incidents or not gathered.missing:
        show_incidents(
            incidents,
            stdout,
            wanted=None,
            colour=settings.colour,
            each=EACH if settings.limit is None else None,
            filtered=bool(settings.query.parameters()),
            command=NAME,
            one=f"{NAME} {DESCRIBE}",
            nodes=True,
        )


def _describe(settings: KubectlSettings, fleet: Fleet, stdout: TextIO) -> int:
    wanted = settings.what or ""
    exporters = fleet.exporters()
    query = replace(settings.query, id=wanted.lower())
    gathered = fleet.gather(query, AMBIGUOUS_MOST, exporters)
    incidents = gathered.incidents()
    if not incidents and gathered.missing:
        _say_missing(gathered)
        raise Error(f"no incident {printable(wanted)} on the nodes that answered")
    one = find(incidents, wanted.lower(), NAME)
    _picture(settings, fleet, one, gathered, exporters, stdout)
    return 0


def _picture(
    settings: KubectlSettings,
    fleet: Fleet,
    one: Incident,
    gathered: Gathered,
    exporters: list[Exporter],
    stdout: TextIO,
) -> None:
    """Show one in full; in text with what it has in common with those before it on its node."""
    found = next(each for each in gathered.found if each.id == one.id)
    if settings.output == "json":
        write_as_it_came(found, stdout)
        return
    if settings.output != "text":
        write_records([one], stdout, settings.output, wanted=None)
        return
    names = named(one)
    same = Query(container=names["container"] or "", namespace=names["namespace"] or "")
    its = [each for each in exporters if each.node == found.node]
    earlier = [each for each in fleet.gather(same, LIMIT_MAX, its).incidents() if each.id != one.id]
    show_incidents(
        [one, *earlier], stdout, wanted=one.id, colour=settings.colour, command=NAME, nodes=True
    )


def _why(
    settings: KubectlSettings, fleet: Fleet, stdout: TextIO, api: Api, usual_namespace: str
) -> int:
    asked = named_object(settings.what or "", settings.query.namespace or None)
    query = replace(settings.query, namespace=asked.namespace or "")
    exporters = fleet.exporters()
    if asked.workload is None:
        query, option = replace(query, pod=asked.name), "--pod"
    else:
        query, option = replace(query, workload=asked.workload), "--workload"
    gathered = fleet.gather(query, LIMIT_MAX, exporters)
    gathered.found = [each for each in gathered.found if _is_of(each, asked)]
    if asked.workload is None:  # its own name, else the name that those of a workload begin with
        exact = [each for each in gathered.found if each.pod == asked.name]
        gathered.found = exact or gathered.found
    incidents = gathered.incidents()
    if incidents:
        newest = max(incidents, key=lambda each: each.time)
        _picture(settings, fleet, newest, gathered, exporters, stdout)
        if settings.output == "text" and len(incidents) > 1:
            name = printable(asked.words)
            stdout.write(f"\n{len(incidents) - 1} earlier of {name}: {NAME} {option} {name}\n")
        return _say_missing(gathered)
    if settings.output == "text":
        where = "" if not gathered.missing else " on the nodes that answered"
        stdout.write(f"no OOM kill of {printable(asked.words)} is recorded{where}\n")
        if asked.workload is None:
            for line in last_ends(api, asked.namespace or usual_namespace, asked.name):
                stdout.write(f"{line}\n")
        stdout.flush()
    return _say_missing(gathered)


def _is_of(found: Found, asked: NamedObject) -> bool:
    """The filters take a part of a name."""
    if asked.namespace not in (None, found.namespace):
        return False
    if asked.workload is not None:
        return found.incident().container.workload == asked.workload
    pod = found.pod or ""
    return pod == asked.name or pod.startswith(f"{asked.name}-")


def _say_missing(gathered: Gathered) -> int:
    """Say which nodes are missing; return the exit status."""
    for note in gathered.notes():
        log.warn(note)
    return 1 if gathered.missing else 0
