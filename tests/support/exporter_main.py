# SPDX-License-Identifier: Apache-2.0
"""The exporter in a process of its own, fed by hand.

    python -m tests.support.exporter_main [EXPORTER OPTIONS]

prints the address it listens on, then obeys lines on stdin, answering each with "done":
``register NAME [NAMESPACE POD WORKLOAD]``, ``kill NAME`` and ``kills COUNT`` (of as many
containers), ``record RECORD`` (that incident, but of this moment), ``written`` (the history has all
of it), ``lost``. It imports little: its memory is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from container_oomkill.cli.destinations import Destinations, DestinationSettings
from container_oomkill.exporter.exporter import Exporter, ExporterSettings, options
from container_oomkill.incident.model import Incident

from .incidents import FakeProbe, container, incident

REGISTERED = ("shop", "cart-7d9f4", "")


def kill(name: str, sequence: int) -> Incident:
    """An incident of this moment."""
    return replace(
        incident(sequence, container=container(name)),
        time=time.time(),
        boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    )


def recorded(record: str, sequence: int) -> Incident:
    """The record's incident, as one of this moment."""
    from container_oomkill.sinks.record import from_object

    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    made = from_object(json.loads(record))
    return replace(made, time=time.time(), boot_ns=boot_ns, sequence=sequence)


def _main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    options(parser)
    settings = ExporterSettings.from_options(vars(parser.parse_args(arguments)))
    probe = FakeProbe()

    def render(each: Incident) -> str:
        return json.dumps(asdict(each))

    kills = 0

    def sink(text: str, make: Callable[[str, int], Incident] = kill) -> None:
        nonlocal kills
        kills += 1
        made = make(text, kills)
        exporter.sink(made)
        if kept is not None:
            while kept.depth() >= settings.log_queue_size:
                time.sleep(0.001)  # a real kill would be lost, and tests count them all
            kept(made)
        for other in others.sinks:
            other(made)

    with Exporter(
        settings,
        probe,
        version="0.0.0-test",
        render=render,
        kernel_kills=lambda: kills,
        kernel_kills_before=0,
    ) as exporter:
        kept = exporter.keep()
        exporter.start()
        others = Destinations(
            DestinationSettings.from_options(settings),
            exporter,
            node=None,
            cluster_node=None,
            in_thread=lambda: None,
        )
        exporter.metrics.destinations = others.sent
        exporter.ready(True)
        print(exporter.addresses[0], flush=True)
        for line in sys.stdin:
            order, _, rest = line.strip().partition(" ")
            if order == "register":
                name, namespace, pod, workload = (*rest.split(), *REGISTERED)[:4]
                exporter.metrics.register((namespace, pod, name), workload)
            elif order == "kill":
                sink(rest)
            elif order == "record":
                sink(rest, recorded)
            elif order == "kills":
                for number in range(int(rest)):
                    sink(f"app-{number}")
            elif order == "written":
                while kept is not None and kept.depth():
                    time.sleep(0.01)
            elif order == "lost":
                probe.counts["lost_ring_full"] += 1
            else:
                raise SystemExit(f"unknown order {line!r}")
            exporter.heartbeat()
            print("done", flush=True)
        others.close()
        if kept is not None:
            kept.close()


if __name__ == "__main__":
    _main(sys.argv[1:])
