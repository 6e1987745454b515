# SPDX-License-Identifier: Apache-2.0
"""Measures what a library would cost where the exporter has code of its own.

    python -m bench.libraries [--quick] [--group NAME]

Each alternative is installed by pip into a folder of build/ and imported in a fresh process that
holds what the exporter holds anyway: private dirty memory and CPU time on top of that, compiled
code at hand. Alone it writes its part of docs/benchmarks.* anew and leaves the rest as it is; one
group alone is printed and not written.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
INSTALLED = REPOSITORY / "build" / "libraries"
ROUNDS, QUICK_ROUNDS = 9, 3
MIB = 1 << 20
# What the exporter has without metrics, with them, and with the web server: less first.
ATTACHED = "import container_oomkill.exporter.exporter, container_oomkill.identity.resolver\n"
COUNTING = ATTACHED + "import container_oomkill.history.history\n"
SERVING = COUNTING + "import container_oomkill.web.http.server, container_oomkill.web.routes\n"
KILLED = """
from container_oomkill.metrics.exposition import page
from container_oomkill.metrics.metrics import Metrics
from tests.support.incidents import FakeProbe, container, incident
metrics = Metrics(FakeProbe(), version="0", expiry_seconds=1e9, max_containers=500,
                  kernel_kills=lambda: 0, kernel_kills_before=0, queues=dict)
for number in range(500):
    metrics(incident(number, container=container(f"app-{number}")))
"""


@dataclass(frozen=True)
class Choice:
    """``requirement``: for pip; None: ours, or Python's own. ``work``: made ready, then timed."""

    name: str
    code: str
    requirement: str | None = None
    ready: str = ""
    work: str = ""


OTLP = "import container_oomkill.otlp.sender, ssl\nssl.create_default_context()\n"
MESSAGES = "from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import *\n"

# What for, what is loaded before, and who could do it; ours comes first.
GROUPS: list[tuple[str, str, list[Choice]]] = [
    (
        "the log",
        "import argparse, json\n",
        [
            Choice("system/log.py", "import container_oomkill.system.log"),
            Choice("logging", "import logging"),
        ],
    ),
    (
        "HTTP server",
        COUNTING,
        [
            Choice("web/http", "import container_oomkill.web.http.server"),
            Choice("web/http with TLS", "import container_oomkill.web.http.server, ssl"),
            Choice("http.server", "import http.server"),
            Choice("asyncio", "import asyncio"),
            Choice("waitress (no TLS)", "import waitress.server", "waitress"),
            Choice("cheroot with TLS", "import cheroot.wsgi, cheroot.ssl.builtin", "cheroot"),
            Choice(
                "uvicorn",
                "import uvicorn\nasync def app(scope, receive, send): pass\n"
                "uvicorn.Config(app).load()",
                "uvicorn",
            ),
        ],
    ),
    (
        "the metrics page",
        ATTACHED,
        [
            Choice(
                "metrics/exposition.py",
                "import container_oomkill.metrics.exposition",
                ready=KILLED,
                work="b''.join(page(metrics.families(created=False))[1])",
            ),
            Choice(
                "prometheus_client alone",
                "import prometheus_client",
                ready="import prometheus_client\n"
                + KILLED
                + "class All:\n"
                + "    def collect(self):\n"
                + "        return [each.metric() for each in metrics.families(created=False)]\n",
                work="prometheus_client.generate_latest(All())",
            ),
        ],
    ),
    (
        "Kubernetes API",
        SERVING,
        [
            Choice("kubernetes/ (urllib3, msgspec)", "import container_oomkill.kubernetes.watch"),
            Choice(
                "lightkube",
                "import lightkube\nfrom lightkube.resources.core_v1 import Event, Pod",
                "lightkube",
            ),
            Choice("kr8s", "import kr8s\nfrom kr8s.objects import Event, Pod", "kr8s"),
            Choice("kubernetes", "from kubernetes import client, config, watch", "kubernetes"),
        ],
    ),
    (
        "OTLP logs",
        SERVING,
        [
            Choice("otlp/ (http.client, JSON)", "import container_oomkill.otlp.sender"),
            Choice("otlp/ with TLS", OTLP),
            Choice("the same with opentelemetry-proto", OTLP + MESSAGES, "opentelemetry-proto"),
            Choice("urllib3 with TLS alone", "import ssl, urllib3\nssl.create_default_context()"),
            Choice(
                "the SDK and its exporter",
                "from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter\n"
                "from opentelemetry.sdk._logs import LoggerProvider\n"
                "from opentelemetry.sdk._logs.export import BatchLogRecordProcessor",
                "opentelemetry-exporter-otlp-proto-http",
            ),
        ],
    ),
    (
        "HTML",
        SERVING,
        [
            Choice("htpy", "import htpy\nstr(htpy.p(class_='a')['<'])"),
            Choice(
                "Jinja2",
                "import jinja2\nenvironment = jinja2.Environment(autoescape=True)\n"
                "environment.from_string('<p class=\"{{ a }}\">{{ b }}</p>').render(a='a', b='<')",
                "jinja2",
            ),
        ],
    ),
]

CHILD = """
import gc, json, sys, time
paths, before, code, ready, work = json.loads(sys.argv[1])
sys.path += paths
def dirty():
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        lines = dict(line.split(":") for line in file if ":" in line.partition("-")[0])
    return int(lines["Private_Dirty"].split()[0]) << 10
names = {}
exec(before, names)
held, began = dirty(), time.process_time()
exec(code, names)
cpu = time.process_time() - began
found = {"bytes": dirty() - held, "cpu_ms": cpu * 1e3}
if work:
    exec(ready, names)
    compiled = compile(work, "work", "eval")
    eval(compiled, names)
    times = []
    for _ in range(5):
        began = time.process_time()
        eval(compiled, names)
        times.append(time.process_time() - began)
    found["work_ms"] = min(times) * 1e3
print(json.dumps(found))
"""


def measure(rounds: int, group: str | None = None) -> dict[str, Any]:
    """Every choice of every group, or of one, as often; installs what is missing."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "rounds": rounds,
        "load": os.getloadavg()[0],
        "groups": [
            {
                "name": name,
                "choices": [one(each, before, rounds) for each in choices],
            }
            for name, before, choices in GROUPS
            if group in (None, name)
        ],
    }


def one(choice: Choice, before: str, rounds: int) -> dict[str, Any]:
    paths = [str(REPOSITORY / "src"), str(REPOSITORY)]
    version = ""
    if choice.requirement:
        folder, version = install(choice.requirement)
        paths.append(str(folder))
    paths.append(sysconfig.get_path("purelib"))
    argument = json.dumps([paths, before, choice.code, choice.ready, choice.work])
    command = [sys.executable, "-I", "-S", "-c", CHILD, argument]
    # The first one compiles what is not compiled yet.
    found = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for _ in range(rounds + 1)
    ][1:]
    middle = {key: statistics.median(each[key] for each in found) for key in found[0]}
    return {"name": choice.name, "version": version, **middle}


def install(requirement: str) -> tuple[Path, str]:
    """The newest one, in a folder of its own; and which that is."""
    folder = INSTALLED / requirement
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), requirement]
    subprocess.run(pip, check=True)
    [found] = [
        each
        for each in importlib.metadata.distributions(path=[str(folder)])
        if each.metadata["Name"].lower() == requirement
    ]
    return folder, found.version


def main() -> int:
    from . import report

    parser = argparse.ArgumentParser(prog="python -m bench.libraries")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    names = [name for name, _, _ in GROUPS]
    parser.add_argument("--group", choices=names, help="only this one; printed, not written")
    args = parser.parse_args()
    rounds = QUICK_ROUNDS if args.quick else ROUNDS
    if args.group:
        print(report.libraries(measure(rounds, args.group)))
        return 0
    measured = json.loads(report.NUMBERS.read_text())
    measured["libraries"] = measure(rounds)
    report.write(measured)
    print(report.libraries(measured["libraries"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
