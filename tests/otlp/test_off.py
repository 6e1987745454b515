# SPDX-License-Identifier: Apache-2.0
"""Whoever sends nothing pays nothing, not a module is loaded; whoever sends pays little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ..support.receiver import Receiver

MIB = 1 << 20
REPOSITORY = Path(__file__).parents[2]
# The exporter's parts, made as its command makes them, and what is loaded then.
RUN = """
import json, sys, time
from container_oomkill.cli.parser import parse
from container_oomkill.cli.exporter_settings import ExporterCommandSettings
settings = ExporterCommandSettings.from_args(parse(["exporter", *sys.argv[1:]], {}))
from container_oomkill.cli.destinations import Destinations
from container_oomkill.exporter.exporter import Exporter
from container_oomkill.sinks import json_lines
from tests.support.incidents import FakeProbe, incident

def dirty():
    import gc
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        lines = dict(line.split(":") for line in file if ":" in line.partition("-")[0])
    return int(lines["Private_Dirty"].split()[0]) << 10

with Exporter(settings.exporter, FakeProbe(), version="0", render=json_lines.render) as exporter:
    exporter.keep()
    exporter.start()
    before = dirty()
    destinations = Destinations(
        settings.destinations, exporter, node="n", cluster_node=None, in_thread=lambda: None
    )
    with destinations as others:
        for number in range(100):
            for sink in (exporter.sink, *others.sinks):
                sink(incident(number))
        while any(each.sent < 100 for each in others.sent().values()):
            time.sleep(0.01)
        print(json.dumps({"modules": sorted(sys.modules), "bytes": dirty() - before}))
"""
SENDS = ("container_oomkill.otlp", "container_oomkill.sending", "container_oomkill.webhook")


def run(*options: str) -> tuple[set[str], int]:
    """Modules and bytes."""
    argv = [sys.executable, "-c", RUN, "--web.listen-address=127.0.0.1:0", *options]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return set(found["modules"]), found["bytes"]


def test_nothing_of_it_is_loaded_when_it_is_off() -> None:
    modules, _ = run()
    assert not [each for each in modules if each.startswith(SENDS)]
    assert not modules & {"http.client", "urllib3", "yaml", "email"}


def test_what_it_takes_when_it_is_on() -> None:
    """A hundred incidents, sent and on its pages: less than the 6 MiB that were promised."""
    with Receiver() as receiver:
        modules, taken = run("--otlp.endpoint", receiver.url)
    assert "container_oomkill.otlp.sender" in modules
    assert "urllib3" not in modules
    assert "yaml" not in modules
    assert taken < 6 * MIB
