# SPDX-License-Identifier: Apache-2.0
"""Where in its own program the trigger was: with --stacks, by build id and offset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from container_oomkill.symbols.functions import build_id_of, open_elf

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]


def test_the_function_that_touched_memory(
    hook: str, make_cgroups: MakeCgroups, hog: StartHog, hog_program: Path
) -> None:
    with Recorder(hook, "--stacks") as recorder:
        (cgroup,) = make_cgroups("/oomkill-stacks")
        cgroup.limit(16)
        assert hog(cgroup, "anon 64").was_killed()
        innermost, *_ = recorder.record()["trigger"]["stack"]["user"]
    assert innermost["build_id"] == build_id_of(str(hog_program))
    file = open_elf(str(hog_program))
    assert file is not None
    assert file.place(innermost["offset"]).function == "touch"


def test_nobody_asked_for_it(recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    (cgroup,) = make_cgroups("/oomkill-stacks")
    cgroup.limit(16)
    assert hog(cgroup, "anon 64").was_killed()
    assert recorder.record()["trigger"]["stack"]["user"] is None
