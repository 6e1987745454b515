# SPDX-License-Identifier: Apache-2.0
"""What is read without argparse is what argparse reads; the rest is left to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.cli.common_way import HERE, read
from container_oomkill.cli.environment import PREFIX, variable_of
from container_oomkill.cli.noted_options import Noted
from container_oomkill.cli.options import COMMANDS, add_log
from container_oomkill.cli.parser import build_parser, parse
from container_oomkill.errors import UsageError

READ = [
    [],
    ["-o", "json", "--count", "3"],
    ["--hook", "kprobe", "--ring-bytes=65536", "--cmdline", "--node", "here"],
    ["--pin"],
    ["--pin", "/sys/fs/bpf/x", "--verbose"],
    ["--pin", "--verbose"],
    ["--pin=", "--kubernetes", "--kubernetes.node=n"],
    ["--state.docker", "/a,b", "--state.docker=/c", "--host-root", ""],
    ["--container", "cart", "--scope=pod", "--log.level", "error", "--log.format=json"],
    ["--oom-score-adj=-500", "--recorder.interval", "0.5", "--recorder.max-cgroups=0"],
    ["--count", "1", "--count", "2"],
]
READ_BY_EXPORTER = [
    [],
    ["--web.listen-address", ":1", "--web.listen-address=unix:/a,:2", "--metrics.expiry", "2d"],
    ["--retry-attach", "--log.incidents=off", "--history", "/h", "--web.external-url=https://a"],
]
LEFT = [
    ["--help"],
    ["-h"],
    ["--coun", "3"],
    ["--count"],
    ["--count", "0"],
    ["--count", "-1"],
    ["--oom-score-adj", "-500"],  # right, but argparse alone knows that it is no option
    ["-ojson"],
    ["-o=json"],
    ["-o", "yaml"],
    ["--cmdline=yes"],
    ["--ring-bytes", "5000"],
    ["--", "x"],
    ["x"],
    ["--no-such"],
]


def both(argv: list[str], environ: dict[str, str]) -> tuple[Any, Any]:
    read_here = read(argv, environ)
    return None if read_here is None else vars(read_here), vars(parse(argv, environ))


@pytest.mark.parametrize("options", READ)
def test_the_probes_options(options: list[str]) -> None:
    ours, theirs = both(["probe", *options], {})
    assert ours == theirs


@pytest.mark.parametrize("options", READ_BY_EXPORTER)
def test_the_exporters_options(options: list[str]) -> None:
    ours, theirs = both(["exporter", *options], {})
    assert ours == theirs


@pytest.mark.parametrize("options", LEFT)
def test_what_is_left_to_argparse(options: list[str]) -> None:
    assert read(["probe", *options], {}) is None


@pytest.mark.parametrize("argv", [[], ["--version"], ["doctor"], ["replay", "file"], ["prob"]])
def test_other_commands_are(argv: list[str]) -> None:
    assert read(argv, {}) is None


def test_variables() -> None:
    environ = {
        "PATH": "/bin",
        PREFIX + "OUTPUT": "logfmt",
        PREFIX + "VERBOSE": "yes",
        PREFIX + "CMDLINE": "0",
        PREFIX + "PIN": "true",
        PREFIX + "STATE_CRIO": "/a, /b",
        PREFIX + "STATE_PODMAN": "/environment",
    }
    ours, theirs = both(["probe", "--state.podman", "/given"], environ)
    assert ours == theirs
    assert ours["variables"]["--output"] == PREFIX + "OUTPUT"


@pytest.mark.parametrize("name", ["VERBOSE", "OUTPUT", "HISTORY", "OUTPT", "SERVICE_HOST"])
def test_variables_that_are_wrong_or_not_its_own_are_left(name: str) -> None:
    assert read(["probe"], {PREFIX + name: "perhaps"}) is None


@pytest.mark.parametrize("command", HERE)
def test_every_option_is_noted_as_argparse_has_it(command: str) -> None:
    noted: Any = Noted()
    COMMANDS[command].add_options(noted)
    add_log(noted)
    _, parser = build_parser(command)
    assert parser is not None
    theirs = {
        (tuple(each.option_strings), each.dest, each.nargs, each.const if each.nargs == "?" else 0)
        for each in parser._actions
        if each.dest != "help"
    }
    ours = {
        (each.option_strings, each.dest, each.nargs, each.const if each.nargs == "?" else 0)
        for each in noted.options
    }
    assert ours == theirs


WORDS = ["1", "-1", "x", "json", "fentry", "", "--", "a b", "-x y", "1h", "65536", "=", "true"]


@given(st.sampled_from(HERE), st.data())
def test_any_line_is_read_alike_or_left(command: str, data: st.DataObject) -> None:
    noted: Any = Noted()
    COMMANDS[command].add_options(noted)
    add_log(noted)
    names = [name for each in noted.options for name in each.option_strings]
    word = st.sampled_from(WORDS)
    option = st.sampled_from(names)
    part = st.one_of(option, word, st.builds("{}={}".format, option, word))
    argv = [command, *data.draw(st.lists(part, max_size=6))]
    variables = st.sampled_from([variable_of(name) for name in names if name.startswith("--")])
    environ = data.draw(st.dictionaries(variables, word, max_size=2))
    ours = read(argv, environ)
    if ours is None:
        return
    try:
        assert vars(ours) == vars(parse(argv, environ))
    except UsageError as error:
        raise AssertionError(f"argparse refuses {argv} {environ}: {error}") from error
