# SPDX-License-Identifier: Apache-2.0
"""A storm of SIGKILL beside OOM kills: what the one costs the other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from ..support.chaos.killing import Killing
from ..support.kernel.actors import Container
from ..support.kernel.cgroups import Cgroup
from ..support.kernel.exporter import Exporter, address_of, start
from ..support.waiting import eventually

TOGETHER = 5  # OOM kills of one start of killer.c
LOG = ("--log.incidents", "json", "--log.queue-size", "100000")


def test_a_storm_of_senders_that_end_at_once(
    hook: str,
    container: Callable[..., Container],
    make_cgroups: Callable[..., list[Cgroup]],
    tmp_path: Path,
    say: Callable[[str], None],
) -> None:
    """100,000 SIGKILLs; in an emulated guest a twentieth, which takes as long."""
    number = 5_000 if os.environ.get("OOMKILL_TEST_GUEST") else 100_000
    (cgroup,) = make_cgroups("/oomkill-beside")
    storm = container(f"ready go senders {number} exit 0")
    with (tmp_path / "log").open("w") as log, start(hook, *LOG, stdout=log) as process:
        exporter = Exporter(process, address_of(process))

        def told() -> list[int]:
            lines = (tmp_path / "log").read_text().splitlines(keepends=True)
            found = [json.loads(line) for line in lines if line.endswith("\n")]
            victims = [each["victims"][0] for each in found if each["kind"] == "oom"]
            return [each["pid"] for each in victims if each["cgroup"] == cgroup.path]

        def lost(reason: str) -> int:
            series = f'container_oomkill_other_kills_lost_total{{reason="{reason}"}}'
            return int(exporter.value(series) or 0)

        try:
            before, begin = exporter.value("container_oomkill_sigkills_total"), time.monotonic()
            storm.outside.go()
            killed: list[int] = []
            while storm.outside.process.poll() is None:
                killed += Killing(tmp_path, cgroup, TOGETHER, every_ms=100).pids()
            took = time.monotonic() - begin
            assert storm.exit_status() == 0
            eventually(lambda: len(told()) >= len(killed))
            after = exporter.value("container_oomkill_sigkills_total")
            missing = len(killed) - len(told())
            say(
                f"storm of SIGKILL: {number:,} in {took:.0f} s, {number / took:,.0f} a second, by"
                f" senders that end at once: of {len(killed)} OOM kills meanwhile {missing} lost;"
                f" of the SIGKILLs {lost('rate_limit'):,} counted above the cgroup's limit,"
                f" {lost('ring_full'):,} for want of room"
            )
        finally:
            process.kill()
    assert told() == killed  # one after another; in 100,000 processes an id comes again
    assert before is not None
    assert after is not None
    assert after - before >= number
