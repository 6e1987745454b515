# SPDX-License-Identifier: Apache-2.0
"""What attaching costs, in the one unit that is the same on every machine: the verifier's steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_oomkill.probe import object_file
from container_oomkill.probe.attach import attach
from container_oomkill.recorder.settings import RecorderSettings

# All programs of a hook together. A loop costs its length times what is done each time around,
# unless that is a function of its own, which is looked through once: see bpf/memcg.bpf.h.
MOST = {"raw_tracepoint": 17_000, "fentry": 14_500, "kprobe": 14_500}
MOST_FOR_RECORDER = 12_000
MOST_FOR_KILLERS = 5_000


def steps() -> dict[int, int]:
    """By the file descriptor of each program that this process has loaded."""
    found = {}
    for file in Path("/proc/self/fdinfo").iterdir():
        try:
            fields = dict(line.split(":", 1) for line in file.read_text().splitlines())
        except FileNotFoundError:  # the folder's own
            continue
        if "verified_insns" in fields:
            found[int(file.name)] = int(fields["verified_insns"])
    return found


@pytest.mark.needs("verified_insns")
def test_so_it_is_with_who_else_kills(hook: str) -> None:
    """By itself: it is loaded after the hook, whose programs are no larger for it."""
    before = steps()
    with attach(object_file.read_object(), hook=hook, killers=True) as probe:
        assert probe.killers is not None
        whole = steps()
        probe.killers.close()
        left = steps()
    ours = {fd: count for fd, count in whole.items() if fd not in left and fd not in before}
    assert 0 < sum(ours.values()) <= MOST_FOR_KILLERS, ours


@pytest.mark.needs("verified_insns")
def test_the_verifier_is_soon_done(hook: str) -> None:
    before = steps()
    with attach(object_file.read_object(), hook=hook):
        ours = {fd: count for fd, count in steps().items() if fd not in before}
    assert 0 < sum(ours.values()) <= MOST[hook], ours


@pytest.mark.needs("verified_insns")
@pytest.mark.needs("flight recorder")
def test_so_it_is_with_the_flight_recorder(hook: str) -> None:
    """Whose settings let the hook's programs do more; what it loads itself is counted apart."""
    before = steps()
    with attach(object_file.read_object(), hook=hook, recorder=RecorderSettings()) as probe:
        assert probe.recorder is not None, probe.recorder_refused
        whole = steps()
        probe.recorder.close()
        left = steps()
    hooks = {fd: count for fd, count in left.items() if fd not in before}
    ours = {fd: count for fd, count in whole.items() if fd not in left and fd not in before}
    assert 0 < sum(hooks.values()) <= MOST[hook], hooks
    assert 0 < sum(ours.values()) <= MOST_FOR_RECORDER, ours
