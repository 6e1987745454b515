# SPDX-License-Identifier: Apache-2.0
"""Options from the command line and the environment; what is refused, and how."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from container_oomkill.cli.environment import as_given
from container_oomkill.cli.parser import parse
from container_oomkill.errors import UsageError
from container_oomkill.exporter.settings import ExporterSettings


def test_defaults() -> None:
    args = parse(["probe"], {})
    assert (args.command, args.output, args.count, args.hook) == ("probe", "text", None, None)
    assert args.ring_bytes == 1 << 20


def test_environment_is_used_and_the_command_line_wins() -> None:
    environ = {
        "CONTAINER_OOMKILL_OUTPUT": "json",
        "CONTAINER_OOMKILL_RING_BYTES": "32768",
        "CONTAINER_OOMKILL_VERBOSE": "yes",
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
        (["probe", "--count", "0"], {}, "--count: expected a whole number above 0, found '0'"),
        (["probe", "--count", "many"], {}, "--count"),
        (["probe", "-o", "yaml"], {}, "invalid choice: 'yaml'"),
        (["probe", "--hook", "uprobe"], {}, "invalid choice: 'uprobe'"),
        (["probe", "--ring-bytes", "5000"], {}, "5000 is not a power of two"),
        (
            ["exporter", "--metrics.expiry", "1y"],
            {},
            "expected a duration like 90s, 30m, 1h or 2d, found",
        ),
        (["replay"], {}, "FILE"),
        (["probe"], {"CONTAINER_OOMKILL_OUTPUT": "yaml"}, "invalid choice: 'yaml'"),
        (["probe"], {"CONTAINER_OOMKILL_OUTPUT": "yaml"}, "CONTAINER_OOMKILL_OUTPUT: "),
        (["probe"], {"CONTAINER_OOMKILL_RING_BYTES": "5"}, "CONTAINER_OOMKILL_RING_BYTES: 5 is"),
        (["probe", "--count", "0"], {"CONTAINER_OOMKILL_OUTPUT": "json"}, "argument --count: "),
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


def test_an_error_of_a_later_stage_names_the_variable_as_well() -> None:
    environ = os.environ | {"CONTAINER_OOMKILL_WEB_TELEMETRY_PATH": "cert"}
    command = [sys.executable, "-m", "container_oomkill", "exporter"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    words = "CONTAINER_OOMKILL_WEB_TELEMETRY_PATH cert: expected a plain path like /metrics"
    assert (done.returncode, done.stderr) == (2, f"container-oomkill: {words}\n")


def test_an_option_is_not_taken_for_one_it_begins_like() -> None:
    variables = {"--history": "HISTORY"}
    assert as_given("--history FILE, --history.max-bytes", variables) == (
        "HISTORY FILE, --history.max-bytes"
    )


def test_the_exporters_settings_are_what_was_given() -> None:
    assert ExporterSettings.from_options(vars(parse(["exporter"], {}))) == ExporterSettings()
    argv = ["exporter", "--web.listen-address", ":1", "--web.listen-address=:2"]
    argv += ["--metrics.expiry", "2d", "--history.max-bytes", "65536", "--log.incidents", "off"]
    assert ExporterSettings.from_options(vars(parse(argv, {}))) == ExporterSettings(
        listen_addresses=(":1", ":2"),
        expiry_seconds=172800.0,
        history_max_bytes=65536,
        log_incidents="off",
    )


def output_of(*argv: str, stdout: int | IO[str] = subprocess.PIPE) -> tuple[int, str | None, str]:
    command = [sys.executable, "-m", "container_oomkill", *argv]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_version_is_an_answer_not_a_complaint() -> None:
    status, out, errors = output_of("--version")
    assert (status, errors) == (0, "")
    assert out is not None
    assert out.startswith("container-oomkill ")


@pytest.mark.parametrize(
    "argv", [["--version"], ["--help"], ["doctor", "--help"], ["unpin", "/none"]]
)
def test_a_full_disk_is_one_line_whatever_was_to_be_printed(argv: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        status, _, errors = output_of(*argv, stdout=full)
    words = "container-oomkill: write to standard output: no space left on device\n"
    assert (status, errors) == (1, words)
