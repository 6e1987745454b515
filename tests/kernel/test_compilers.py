# SPDX-License-Identifier: Apache-2.0
"""The object of the oldest and of the newest clang: the kernel takes it, and it tells of a kill.

The verifier judges what a compiler made of the source, and each makes something else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vm import compilers
from tests.vm.errors import PackageError

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.judging import assert_agrees, assert_explains
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder

pytestmark = pytest.mark.needs("the whole matrix")


@pytest.fixture(params=(compilers.OLDEST, compilers.NEWEST), ids="clang{}".format, scope="module")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The object by one compiler: as --objects has it, which a guest needs, else built here."""
    version: int = request.param
    if made := request.config.getoption("--objects"):
        return compilers.object_file(made, version)
    try:
        return compilers.build_object(tmp_path_factory.mktemp("objects"), version)
    except PackageError as error:
        pytest.skip(f"clang {version} is not to be had here: {error}")


def test_a_kill_is_recorded(
    built: Path,
    hook: str,
    kernel_log: KernelLog,
    make_cgroups: Callable[..., list[Cgroup]],
    hog: Callable[..., Hog],
    fast_count_error_bytes: int,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-compiler")
    cgroup.limit(32)
    with Recorder(hook, "--object", str(built), "--cmdline") as recorder:
        other = hog(cgroup, "name spared anon 4 ready wait").ready()
        script = "name eater anon 64"
        started = hog(cgroup, script)
        assert started.was_killed()
        record, killed = recorder.record(), kernel_log.killed(started.pid)
        assert recorder.stop() == 0
    (victim,) = record["victims"]
    assert record["hook"] == hook
    assert_agrees(victim, killed, fast_count_error_bytes)
    if kernel_log.report:
        assert_explains(record, kernel_log.report)
    assert victim["pid"] == started.pid
    assert victim["cmdline"].endswith(script)
    assert victim["rss"]["anon_bytes"] > 24 * MIB
    assert record["domain"]["cgroup"] == victim["cgroup"] == cgroup.path
    assert record["domain"]["limit_bytes"] == 32 * MIB
    assert record["domain"]["stat"]["anon_bytes"] > 24 * MIB
    if hook != "raw_tracepoint":
        assert [candidate["pid"] for candidate in record["candidates"]] == [other.pid]
