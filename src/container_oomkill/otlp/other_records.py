# SPDX-License-Identifier: Apache-2.0
"""What is no incident as a LogRecord: SIGKILL that others sent, and what is out of memory unkilled.

Their severities differ by cause: a stop that took too long is ordinary, and one in a hundred that
an OOM killer in user space sent is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..killers.cause import EARLYOOM, ENDED, EVICTION, PARENT, RUNTIME_STOP, SYSTEMD_OOMD
from ..killers.model import Kill
from ..sinks.kill_names import kill_name, kill_named
from ..sinks.kill_record import KILL, render_kill
from ..sinks.names import container_name
from ..sinks.printable import printable
from ..sinks.stuck_names import stuck_name
from ..sinks.stuck_record import STUCK, render_stuck
from ..stuck.model import Stuck
from .log_record import (
    ERROR,
    OWN,
    RECORD,
    WARN,
    Value,
    container_attributes,
    made,
    uid_of,
)

INFO = (9, "INFO")
ORDINARY = (RUNTIME_STOP, ENDED, PARENT)
OF_MEMORY = (EVICTION, SYSTEMD_OOMD, EARLYOOM)


def kill_log_record(kill: Kill) -> dict[str, Any]:
    """Return it as json.dumps takes it: the same whenever it is sent, as `log_record`."""
    cause = kill.killer.cause
    severity = INFO if cause in ORDINARY else ERROR if cause in OF_MEMORY else WARN
    body = f"{kill_name(kill)}: {kill.verdict or cause or 'was sent SIGKILL'}"
    return made(OWN + KILL, kill.time, severity, printable(body), dict(_of_kill(kill)))


def stuck_log_record(stuck: Stuck) -> dict[str, Any]:
    """The same of an episode: when it is known to be one, and when it is over."""
    episode = stuck.stuck
    at = stuck.time + (episode.seconds or 0.0 if episode.ended else 0.0)
    severity = INFO if episode.ended else ERROR
    body = f"{stuck_name(stuck)}: {stuck.verdict or 'out of memory, and nothing is killed'}"
    return made(OWN + STUCK, at, severity, printable(body), dict(_of_stuck(stuck)))


def _of_kill(kill: Kill) -> Iterator[tuple[str, Value]]:
    target, killer, stop = kill.target, kill.killer, kill.stop
    yield "log.record.uid", uid_of(kill.node, kill.id)
    yield from container_attributes(kill.container, kill_named(kill)["container"])
    yield "process.pid", target.pid
    yield "process.vpid", target.pid_in_container
    yield "process.parent_pid", target.ppid
    yield "process.title", target.command
    yield "process.user.id", target.uid
    yield "process.linux.cgroup", target.cgroup
    yield OWN + "kind", KILL
    yield OWN + "incident", kill.id
    yield OWN + "cause", killer.cause
    yield OWN + "killer.how", killer.how
    yield OWN + "killer.pid", killer.pid
    yield OWN + "killer.command", killer.command
    yield OWN + "killer.unit", killer.unit
    if killer.container is not None:
        yield OWN + "killer.container", killer.container.name or killer.container.id
    if stop is not None:
        yield OWN + "stop.signal", stop.signal
        yield OWN + "stop.seconds_before", stop.seconds_before
    yield OWN + "pod_end", kill.pod_end
    yield RECORD, render_kill(kill)


def _of_stuck(stuck: Stuck) -> Iterator[tuple[str, Value]]:
    episode = stuck.stuck
    # Begin and end are two records.
    name = stuck.id if episode.ended else f"{stuck.id}/begin"
    yield "log.record.uid", uid_of(stuck.node, name)
    yield from container_attributes(stuck.container, container_name(stuck.container, stuck.cgroup))
    yield OWN + "kind", STUCK
    yield OWN + "incident", stuck.id
    yield OWN + "cause", episode.cause
    yield OWN + "stuck.ended", episode.ended
    yield OWN + "stuck.seconds", episode.seconds
    yield OWN + "stuck.events", episode.events
    yield OWN + "stuck.cgroup", stuck.cgroup
    yield OWN + "usage_bytes", stuck.usage_bytes
    yield OWN + "limit_bytes", stuck.limit_bytes
    yield RECORD, render_stuck(stuck)
