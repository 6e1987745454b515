# SPDX-License-Identifier: Apache-2.0
"""Options from the command line and the environment; what is refused, and how."""

from __future__ import annotations

import pytest

from container_oomkill.arguments import parse
from container_oomkill.errors import UsageError


def test_defaults() -> None:
    args = parse(["probe"], {})
    assert (args.command, args.output, args.count, args.hook) == ("probe", "text", None, None)
    assert args.ring_bytes == 1 << 20


def test_environment_is_used_and_the_command_line_wins() -> None:
    environ = {
        "CONTAINER_OOMKILL_OUTPUT": "json",
        "CONTAINER_OOMKILL_RING_BYTES": "32768",
        "CONTAINER_OOMKILL_VERBOSE": "yes",
        "CONTAINER_OOMKILL_UNRELATED": "x",
    }
    args = parse(["probe", "-o", "logfmt"], environ)
    assert args.output == "logfmt"
    assert args.ring_bytes == 32768
    assert args.verbose is True
    assert parse(["probe"], {"CONTAINER_OOMKILL_VERBOSE": "0"}).verbose is False


@pytest.mark.parametrize("command", ["probe", "exporter", "doctor"])
def test_state_folders(command: str) -> None:
    args = parse([command], {})
    folders = (args.state_docker, args.state_containerd, args.state_crio, args.state_podman)
    assert folders == (None,) * 4
    args = parse([command, "--state.docker", "/a,b", "--state.docker=/c"], {})
    assert args.state_docker == ["/a,b", "/c"]
    environ = {
        "CONTAINER_OOMKILL_STATE_CRIO": "/a, /b",
        "CONTAINER_OOMKILL_STATE_PODMAN": "/from the environment",
        "CONTAINER_OOMKILL_HOST_ROOT": "/host",
    }
    args = parse([command, "--state.podman", "/given"], environ)
    assert args.state_crio == ["/a", "/b"]
    assert args.state_podman == ["/given"]
    assert args.host_root == "/host"


@pytest.mark.parametrize(
    ("argv", "environ", "words"),
    [
        ([], {}, "COMMAND"),
        (["prob"], {}, "invalid choice: 'prob'"),
        (["probe", "--cout", "1"], {}, "unrecognized arguments: --cout"),
        (["probe", "--count", "0"], {}, "--count: invalid whole number above 0 value: '0'"),
        (["probe", "--count", "many"], {}, "--count"),
        (["probe", "-o", "yaml"], {}, "invalid choice: 'yaml'"),
        (["probe", "--hook", "uprobe"], {}, "invalid choice: 'uprobe'"),
        (["probe", "--ring-bytes", "5000"], {}, "5000 is no power of two"),
        (["replay"], {}, "FILE"),
        (["probe"], {"CONTAINER_OOMKILL_OUTPUT": "yaml"}, "invalid choice: 'yaml'"),
        (["probe"], {"CONTAINER_OOMKILL_VERBOSE": "perhaps"}, "expected true or false"),
    ],
)
def test_wrong_usage_is_one_line(argv: list[str], environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(argv, environ)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_status == 2


@pytest.mark.parametrize("command", ["probe", "exporter"])
def test_command_lines_are_recorded_only_if_asked_for(command: str) -> None:
    assert parse([command], {}).cmdline is False
    assert parse([command, "--cmdline"], {}).cmdline is True
    assert parse([command], {"CONTAINER_OOMKILL_CMDLINE": "true"}).cmdline is True
