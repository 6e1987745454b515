# SPDX-License-Identifier: Apache-2.0
"""`probe` around hooks that record what the test gives them: from bytes to the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from container_oomkill.cli.metadata_providers import StateSettings
from container_oomkill.cli.probe import ProbeSettings, record
from container_oomkill.probe.probe import Probe

from ..support.attach_settings import ATTACH
from ..support.hooks import Hooks, kill
from ..support.trees import C, docker_config, write

pytestmark = pytest.mark.usefixtures("signals")


def recorded(folder: Path, hooks: Hooks, **changes: Any) -> list[dict[str, Any]]:
    """The records that are printed, of a host whose root is ``folder``."""
    settings = ProbeSettings(
        attach=ATTACH,
        state=StateSettings(host_root=str(folder)),
        output="json",
        keep_privileges=True,  # the test's process needs its own
        **changes,
    )
    out = folder / "out"
    with out.open("w") as stdout:
        record(settings, cast("Probe", hooks), stdout)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_a_kill_is_printed_with_the_containers_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / f"var/lib/docker/containers/{C}/config.v2.json", docker_config())
    hooks = Hooks(0, kill(1, 41, 10**10, f"/docker/{C}"), kill(2, 42, 2 * 10**10))
    first, second = recorded(tmp_path, hooks, count=2, node="here")
    assert (first["victims"][0]["pid"], second["victims"][0]["pid"]) == (41, 42)
    assert (first["container"]["name"], first["container"]["id"]) == ("shop-cart-1", C)
    assert (first["node"], first["hook"]) == ("here", "fentry")
    assert capsys.readouterr().err == "container-oomkill: attached with fentry\n"


def test_it_ends_after_as_many_as_were_asked_for(tmp_path: Path) -> None:
    hooks = Hooks(0, kill(1, 41, 10**10), kill(2, 42, 2 * 10**10))
    (only,) = recorded(tmp_path, hooks, count=1)
    assert only["victims"][0]["pid"] == 41
    assert list(hooks.read())  # what is left stays in the ring
