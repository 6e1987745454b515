# SPDX-License-Identifier: Apache-2.0
"""`probe` around hooks that record what the test gives them: from bytes to the line."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any, cast

import pytest

from container_oomkill.cli.filters import query_from
from container_oomkill.cli.metadata_providers import StateSettings
from container_oomkill.cli.parser import parse
from container_oomkill.cli.probe import ProbeSettings, record
from container_oomkill.probe.probe import Probe

from ..support import unprivileged
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


def test_only_what_was_asked_for_is_printed_and_counted(tmp_path: Path) -> None:
    paths = ("/demo/a", "/system.slice/x", "/demos", "/demo/b", "/demo/c")
    kills = [kill(n, 40 + n, n * 10**10, path) for n, path in enumerate(paths, 1)]
    hooks = Hooks(0, *kills)
    query = query_from(build("--cgroup", "demo"))
    printed = recorded(tmp_path, hooks, count=2, query=query)
    assert [each["victims"][0]["cgroup"] for each in printed] == ["/demo/a", "/demo/b"]


def build(*arguments: str) -> Namespace:
    return parse(["probe", *arguments], {})


WRONG = [
    (("--kubernetes",), "set NODE_NAME from fieldRef spec.nodeName"),
    (("--kubernetes", "--kubernetes.node", "n"), "KUBERNETES_SERVICE_HOST is not set"),
    (("--kubernetes.events", "--kubeconfig", "/nowhere"), "--kubeconfig /nowhere: no such f"),
    (("--host-root", "/nowhere"), "--host-root /nowhere: no such directory"),
]


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("probe", ("--scope", "moon"), "--scope 'moon': expected one of container, "),
        *((command, *each) for each in WRONG for command in ("probe", "exporter")),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_attached(
    command: str, arguments: tuple[str, ...], words: str
) -> None:
    """Without any privilege: attaching would be refused first, with status 3."""
    done = unprivileged.run(command, *arguments, NODE_NAME="", KUBERNETES_SERVICE_HOST="")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


def test_it_ends_after_as_many_as_were_asked_for(tmp_path: Path) -> None:
    hooks = Hooks(0, kill(1, 41, 10**10), kill(2, 42, 2 * 10**10))
    (only,) = recorded(tmp_path, hooks, count=1)
    assert only["victims"][0]["pid"] == 41
    assert list(hooks.read())  # what is left stays in the ring
