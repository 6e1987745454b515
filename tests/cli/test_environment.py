# SPDX-License-Identifier: Apache-2.0
"""Variables of the environment: what each option's is, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from container_oomkill.cli.environment import PREFIX, variable_of
from container_oomkill.cli.options import COMMANDS
from container_oomkill.cli.parser import all_variables, build_parser, parse
from container_oomkill.errors import UsageError


def parsed(**variables: str) -> None:
    parse(["probe"], {PREFIX + name: value for name, value in variables.items()})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("RING_BYTE", "did you mean CONTAINER_OOMKILL_RING_BYTES?"),
        ("WEB_LISTEN_ADRESS", "did you mean CONTAINER_OOMKILL_WEB_LISTEN_ADDRESS?"),
        ("KUBERNETES_EVENT", "did you mean CONTAINER_OOMKILL_KUBERNETES_EVENTS?"),
        ("LOG_QUEUE", "did you mean CONTAINER_OOMKILL_LOG_QUEUE_SIZE?"),
        ("X", "unset it: the prefix CONTAINER_OOMKILL_ is reserved for options"),
        ("", "unset it: the prefix CONTAINER_OOMKILL_ is reserved for options"),
    ],
)
def test_a_variable_that_no_option_has_is_refused_by_name(name: str, advice: str) -> None:
    with pytest.raises(UsageError) as error:
        parsed(**{name: "1"})
    assert str(error.value) == f"CONTAINER_OOMKILL_{name}: no such option: {advice}"
    assert error.value.exit_status == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_it_with_one_line(command: str) -> None:
    argument = ["/nowhere"] if command in ("replay", "symbolize", "unpin", "why") else []
    done = subprocess.run(
        [sys.executable, "-m", "container_oomkill", command, *argument],
        env={"PYTHONPATH": ":".join(sys.path), PREFIX + "HOKK": "fentry"},
        capture_output=True,
        text=True,
        check=False,
    )
    words = f"{PREFIX}HOKK: no such option: did you mean {PREFIX}HOOK?"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"container-oomkill: {words}\n"


def test_one_environment_may_serve_all_commands() -> None:
    known = set(all_variables())
    assert {PREFIX + "HISTORY", PREFIX + "FROM", PREFIX + "COUNT", PREFIX + "BTF"} <= known
    for command in COMMANDS:
        argv = [command, "file"] if command in ("replay", "symbolize", "why") else [command]
        _, parser = build_parser(command)
        others = known - {PREFIX + "VERSION"}
        assert parser is not None
        own = {variable_of(o) for a in parser._actions for o in a.option_strings}
        parse(argv, dict.fromkeys(others - own, "anything"))


def test_show_within_the_exporters_container_has_its_variables() -> None:
    """What the exporter's own node is called there is no filter."""
    args = parse(["show"], {PREFIX + "NODE": "node-7", PREFIX + "RETRY_ATTACH": "true"})
    assert args.filter_node is None
    assert parse(["show", "--node", "x"], {PREFIX + "NODE": "node-7"}).filter_node == "x"
    assert parse(["show"], {PREFIX + "CONTAINER": "cart"}).filter_container == "cart"
    assert parse(["exporter"], {PREFIX + "NODE": "node-7"}).node == "node-7"


def test_what_kubernetes_sets_for_a_service_is_no_option() -> None:
    service = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "9262",
        "SERVICE_PORT_METRICS": "9262",
        "PORT": "tcp://10.0.0.1:9262",
        "PORT_9262_TCP": "tcp://10.0.0.1:9262",
        "PORT_9262_TCP_ADDR": "10.0.0.1",
    }
    parsed(**{f"EXPORTER_{name}": value for name, value in service.items()})
    environ = {f"CONTAINER_OOMKILL_{name}": value for name, value in service.items()}
    parse(["probe"], environ)
    with pytest.raises(UsageError, match="CONTAINER_OOMKILL_PORT: no such option"):
        parsed(PORT="9262")
    with pytest.raises(UsageError, match="CONTAINER_OOMKILL_WEB_PORT: no such option"):
        parsed(WEB_PORT="9262", **service)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_says_that_there_are_variables(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([command, "--help"] if command else ["--help"], {PREFIX + "WRONG": "1"})
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert (
        "Each option can be set by a variable: --some.option-name by CONTAINER_OOMKILL_SOME" in text
    )
    assert max(map(len, text.splitlines())) < 110


def test_options_about_one_subject_are_a_group() -> None:
    """Either --GROUP.NAME, or a name without a dot that no group has as its first word."""
    options = {
        option.removeprefix("--")
        for command in COMMANDS
        for action in (build_parser(command)[1] or build_parser("")[0])._actions
        for option in action.option_strings
        if option.startswith("--")
    }
    groups = {option.partition(".")[0] for option in options if "." in option}
    known = {"web", "metrics", "log", "history", "recorder", "state", "kubernetes", "otlp"}
    known |= {"webhook"}
    assert groups == known
    assert not [each for each in options if each.startswith(tuple(f"{one}-" for one in groups))]
