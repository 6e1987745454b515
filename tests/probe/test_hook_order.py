# SPDX-License-Identifier: Apache-2.0
"""Which hooks a kernel is sure to refuse: what is said of it, and whether it then does."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_oomkill.libbpf.core_types import CoreTypes
from container_oomkill.probe.attach import PROGRAMS
from container_oomkill.probe.hook_order import KPROBES, in_order, is_refused


class Takes(CoreTypes):
    """Types of a kernel that says this of fentry."""

    def __init__(self, fentry: bool | None) -> None:
        super().__init__("/none")
        self._fentry = fentry

    def takes_fentry(self, function: str) -> bool | None:
        assert function == "oom_kill_process"
        return self._fentry


@pytest.mark.parametrize("fentry", [True, False, None])
@pytest.mark.parametrize("there", [None, *KPROBES])
def test_what_is_refused_comes_last(fentry: bool | None, there: str | None, tmp_path: Path) -> None:
    if there is not None:
        (tmp_path / there).parent.mkdir(parents=True)
        (tmp_path / there).touch()
    refused = [
        hook for hook, is_so in (("fentry", fentry is False), ("kprobe", not there)) if is_so
    ]
    expected = [hook for hook in PROGRAMS if hook not in refused] + refused
    assert in_order(PROGRAMS, Takes(fentry), str(tmp_path)) == expected


def test_types_that_cannot_be_read_refuse_nothing() -> None:
    with CoreTypes("/none") as types:
        assert not is_refused("fentry", types)
