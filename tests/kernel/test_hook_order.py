# SPDX-License-Identifier: Apache-2.0
"""What a kernel is sure to refuse, it refuses; what it may take is tried first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from container_oomkill.errors import UnsupportedError
from container_oomkill.libbpf.core_types import CoreTypes
from container_oomkill.probe import attach as attaching
from container_oomkill.probe.attach import PROGRAMS, attach
from container_oomkill.probe.hook_order import in_order, is_refused
from container_oomkill.probe.object_file import read_object


@pytest.fixture
def types() -> Iterator[CoreTypes]:
    with CoreTypes(None) as read:
        yield read


@pytest.mark.parametrize("chosen", PROGRAMS)
def test_what_is_said_to_be_refused_is(chosen: str, types: CoreTypes) -> None:
    if is_refused(chosen, types):
        with pytest.raises(UnsupportedError, match=f"{chosen}: "):
            attach(read_object(), hook=chosen)
    else:
        with attach(read_object(), hook=chosen) as probe:
            assert probe.hook == chosen


def test_the_first_that_is_not_refused_is_taken_at_once(
    types: CoreTypes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    whole = attaching._attach_hook

    def attach_hook(hook: str, *given: object) -> object:
        tried.append(hook)
        return whole(hook, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(attaching, "_attach_hook", attach_hook)
    with attach(read_object()) as probe:
        assert tried == [probe.hook] == in_order(PROGRAMS, types)[:1]
