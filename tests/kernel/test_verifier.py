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
MOST = 20_000
MOST_OF_RECORDER = 40_000  # it is loaded once more, by itself
MOST_FOR_KILLERS = 6_000


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
    assert 0 < sum(ours.values()) <= MOST, ours


@pytest.mark.needs("verified_insns")
@pytest.mark.needs("flight recorder")
def test_the_recorder_adds_no_more_than_this(hook: str) -> None:
    before = steps()
    data = object_file.read_object()
    with attach(data, hook=hook) as alone:
        without = {fd: count for fd, count in steps().items() if fd not in before}
        assert alone.recorder is None
    with attach(data, hook=hook, recorder=RecorderSettings()) as both:
        assert both.recorder is not None
        ours = {fd: count for fd, count in steps().items() if fd not in before}
    assert 0 < sum(ours.values()) - sum(without.values()) <= MOST_OF_RECORDER, ours
