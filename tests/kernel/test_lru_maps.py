# SPDX-License-Identifier: Apache-2.0
"""What an LRU map is to keep it keeps, whichever CPUs have added it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from container_oomkill import libbpf
from container_oomkill.probe.attach import attach
from container_oomkill.probe.object_file import read_object

OWNERS = 128  # as in bpf/crowd.bpf.h


@pytest.fixture
def cpus() -> Iterator[list[int]]:
    """Those that this thread may run on, and does again afterwards."""
    before = os.sched_getaffinity(0)
    yield sorted(before)
    os.sched_setaffinity(0, before)


@pytest.mark.needs("the whole matrix")
def test_owners_are_not_forgotten_for_those_of_another_cpu(hook: str, cpus: list[int]) -> None:
    keys = [number.to_bytes(8, "little") for number in range(1, OWNERS + 1)]
    with attach(read_object(), hook=hook) as probe:
        maps = probe._maps
        assert isinstance(maps, libbpf.LoadedObject)
        for number, key in enumerate(keys):
            os.sched_setaffinity(0, {cpus[number % len(cpus)]})
            assert maps.write_new("crowd_owners", key, bytes(24))
        # What is there already is not written anew.
        forgotten = [key for key in keys if maps.write_new("crowd_owners", key, bytes(24))]
    assert not forgotten
