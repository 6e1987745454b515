# SPDX-License-Identifier: Apache-2.0
"""Scripted kills by the dozen, drawn by chance: does each get the shape that it was drawn as?

`make shapes` has a hundred for each kernel. A program that a slow machine did not run as it was
drawn, by memory.current looked at meanwhile, is drawn again, whatever it was told to be.
"""

from __future__ import annotations

import json
import os
import platform
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.kernel.cgroups import Cgroup, is_v1
from ..support.kernel.processes import Hog, Recorder
from ..support.kernel.shape_runs import Runs, large_file
from ..support.kernel.shape_scripts import DRAWS, draw

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

pytestmark = [pytest.mark.needs("flight recorder"), pytest.mark.needs("the whole matrix")]

TICK = 0.5  # seconds: half of what it is by default, and so of the time that this takes
AGAIN = 0.5  # of those asked for: with more off their scripts, this machine shows nothing


def test_each_kill_has_the_shape_that_was_scripted(
    hook: str,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    wanted: int = request.config.getoption("--shapes")
    if not wanted:
        pytest.skip("minutes of real kills, drawn by chance: `make shapes`, or --shapes N")
    seed = request.config.getoption("--shapes-seed")
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    chance = random.Random(seed)
    told: Counter[tuple[str, str | None]] = Counter()
    again = 0
    with (
        large_file(tmp_path) as file,
        Recorder(hook, "--recorder.interval", str(TICK)) as recorder,
    ):
        time.sleep(3 * TICK)  # for a walk: what is made after it is known from its beginning
        runs = Runs(recorder, make_cgroups, hog, file, TICK)
        scripts = draw(wanted, chance)
        while scripts:
            missing = []
            for run, record in runs.all(scripts):
                shape = record["before"]["shape"]
                if why := run.off_script(record["boot_ns"]):
                    missing.append(DRAWS[run.script.shape](chance))
                    print(f"not as drawn: {run.script.shape}, told {shape}: {why}")
                    continue
                told[run.script.shape, shape] += 1
                if shape != run.script.shape:
                    print(f"told {shape}: {run.script}", json.dumps(record["before"]), sep="\n")
            scripts = missing
            again += len(missing)
            assert again <= AGAIN * wanted, "this machine is too slow for its scripts"
    print(f"seed {seed}, {again} drawn again\n{table(told)}")
    keep(request.config.getoption("--results"), hook, again, told)
    assert {scripted: shape for scripted, shape in told if scripted != shape} == {}
    assert told.total() == wanted


def table(told: Counter[tuple[str, str | None]]) -> str:
    """What was scripted, by what was told."""
    shapes = [*DRAWS, *sorted({str(shape) for _, shape in told} - DRAWS.keys())]
    lines = ["scripted      " + " ".join(f"{shape:>13}" for shape in shapes)]
    for scripted in DRAWS:
        counts = {str(shape): count for (of, shape), count in told.items() if of == scripted}
        cells = (counts.get(shape, 0) or "-" for shape in shapes)
        lines.append(f"{scripted:<14}" + " ".join(f"{cell:>13}" for cell in cells))
    return "\n".join(lines)


def keep(
    results: Path | None,
    hook: str,
    again: int,
    told: Counter[tuple[str, str | None]],
) -> None:
    """Leave the table beside the results, for `tests.vm.shapes_page`."""
    if results is None:
        return
    release = platform.release()
    found = {
        # Of a Debian in a guest the package's revision, of another machine the version alone.
        "release": release if os.environ.get("OOMKILL_TEST_GUEST") else release.partition("-")[0],
        "machine": platform.machine(),
        "cgroup": "v1" if is_v1() else "v2",
        "hook": hook,
        "again": again,
        "told": [
            [scripted, shape, count]
            for scripted in DRAWS
            for (of, shape), count in told.items()
            if of == scripted
        ],
    }
    results.with_name(f"shapes-{hook}.json").write_text(json.dumps(found) + "\n")
