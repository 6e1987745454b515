# SPDX-License-Identifier: Apache-2.0
"""Modules of Python that are not imported until something of them is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What runs until a kill comes, whoever attaches.
RUNNING = ("pipeline.pipeline", "exporter.exporter", "killers.model", "stuck.model", "sinks.text")
SCRIPT = """
import sys
from container_oomkill.system.later import SELDOM_USED, import_later
import_later(*SELDOM_USED)
{}
"""


def run(code: str) -> list[str]:
    folders = f"import sys; sys.path[:0] = {[each for each in sys.path if each]!r}\n"
    command = [sys.executable, "-I", "-c", folders + SCRIPT.format(code)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_what_runs_all_the_time_needs_none_of_them() -> None:
    """A dataclass without a docstring would: it gets its signature as one."""
    imports = "\n".join(f"import container_oomkill.{each}" for each in RUNNING)
    found = run(f"{imports}\nprint(*sys.modules)")
    assert "dataclasses" in found
    assert not {"ast", "dis", "tokenize"} & set(found)


@pytest.mark.parametrize(
    "code",
    [
        "import inspect; print(inspect.isfunction(run := lambda: 0))",
        "from inspect import isfunction; print(isfunction(lambda: 0))",
        "import ipaddress as asked; print(asked.ip_address('::1').is_loopback)",
        "import ipaddress as it; it.ip_address; import ipaddress; print(ipaddress is not it)",
        "import inspect\ntry: inspect.no_such_name\nexcept AttributeError: print(True)",
    ],
)
def test_whoever_asks_gets_it(code: str) -> None:
    assert run(code) == ["True"]


def test_what_is_imported_already_stays() -> None:
    assert run("import json; import_later('json'); print(json is sys.modules['json'])") == ["True"]


AT_ONCE = """
import threading
sys.setswitchinterval(1e-7)
found = set()
for _ in range(1000):
    sys.modules.pop("colorsys", None)
    import_later("colorsys")
    stands_in, begin, given = sys.modules["colorsys"], threading.Barrier(3), []
    def ask():
        begin.wait()
        try:
            given.append(stands_in.rgb_to_hsv)
        except Exception as error:
            found.add(repr(error))
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for each in threads: each.start()
    for each in threads: each.join()
    if len(set(given)) != 1:
        found.add("imported_twice")
print(*found)
"""


def test_several_threads_that_ask_at_once_get_the_same() -> None:
    assert run(AT_ONCE) == []
