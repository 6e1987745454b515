# SPDX-License-Identifier: Apache-2.0
"""The log: one line each, in either format, whether an option or a variable chooses it."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import container_oomkill
from container_oomkill.cli.parser import log_options
from container_oomkill.system import log

from ..support.logged import logged

SOURCES = Path(container_oomkill.__file__).parent
WRITERS = {"system/log.py", "system/standard_streams.py"}
HOSTILE = "a\nb\x1b[31m\u202ec\ud800\x85"
ESCAPED = r"a\nb\x1b[31m\u202ec\ud800\x85"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    yield logged(monkeypatch)
    log.configure()


def test_text_is_for_people(lines: list[str]) -> None:
    log.info("attached with fentry")
    log.warn("dropped 3 records")
    log.error("größer — 容器")
    assert lines == [
        "container-oomkill: attached with fentry",
        "container-oomkill: dropped 3 records",
        "container-oomkill: größer — 容器",
    ]


def test_json_has_the_fields_of_other_exporters(lines: list[str]) -> None:
    log.configure(form="json")
    for write in (log.info, log.warn, log.error, log.Once("kubernetes").warn):
        write("it's so")
    found = [json.loads(line) for line in lines]
    assert [each["level"] for each in found] == ["INFO", "WARN", "ERROR", "WARN"]
    assert [each["msg"] for each in found] == ["it's so"] * 3 + ["kubernetes: it's so"]
    for each in found:
        assert list(each) == ["time", "level", "source", "msg"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["time"])
        assert re.fullmatch(r"test_log\.py:\d+", each["source"])


@pytest.mark.parametrize("form", log.FORMATS)
def test_whatever_is_said_is_one_line_that_shows_as_it_is(form: str, lines: list[str]) -> None:
    log.configure(form=form)
    log.warn(HOSTILE)
    (line,) = lines
    assert line.isprintable()
    assert (json.loads(line)["msg"] if form == "json" else line).endswith(ESCAPED)


@pytest.mark.parametrize(("level", "written"), [("info", "iwe"), ("warn", "we"), ("error", "e")])
def test_levels(level: str, written: str, lines: list[str]) -> None:
    log.configure(level=level)
    for write, words in ((log.info, "i"), (log.warn, "w"), (log.error, "e")):
        write(words)
    assert "".join(line[-1] for line in lines) == written


def test_what_stays_wrong_is_said_once(lines: list[str]) -> None:
    once = log.Once("ask")
    for words in ("refused", "refused", "no answer", "refused"):
        once.warn(words)
    assert once.clear()
    assert not once.clear()
    once.warn("refused")
    said = ["refused", "no answer", "refused", "refused"]
    assert lines == [f"container-oomkill: ask: {words}" for words in said]


class Pieces:
    """Stands for stderr, and lets the next thread go on after each write."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text)
        time.sleep(0)

    def flush(self) -> None: ...


def test_threads_do_not_write_into_each_others_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Pieces()
    monkeypatch.setattr(sys, "stderr", stderr)

    def write(words: str) -> None:
        for _ in range(100):
            log.warn(words)

    threads = [threading.Thread(target=write, args=(char * 50,)) for char in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = "".join(stderr.written).splitlines()
    assert sorted(lines) == [f"container-oomkill: {c * 50}" for c in "abcd" for _ in range(100)]


@pytest.mark.parametrize(
    ("argv", "environ", "options"),
    [
        (["probe"], {}, ("text", "info")),
        (["probe", "--log.format=json"], {}, ("json", "info")),
        (["probe", "--nonsense", "--log.format", "json", "x"], {}, ("json", "info")),
        (["probe"], {"CONTAINER_OOMKILL_LOG_FORMAT": "json"}, ("json", "info")),
        (
            ["doctor", "--log.format=text"],
            {"CONTAINER_OOMKILL_LOG_FORMAT": "json"},
            ("text", "info"),
        ),
        (["show", "--log.level", "error"], {}, ("text", "error")),
        ([], {"CONTAINER_OOMKILL_LOG_LEVEL": "warn"}, ("text", "warn")),
    ],
)
def test_the_options_are_found_whatever_else_is_wrong(
    argv: list[str], environ: dict[str, str], options: tuple[str, str]
) -> None:
    assert tuple(log_options(argv, environ).values()) == options


def run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "container_oomkill", *argv]
    return subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["probe", "--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["probe", "--count", "0"], 2, "--count: expected a whole number above 0"),
        (["exporter", "--web.telemetry-path", "cert"], 2, "cert: expected a plain path"),
        (["doctor", "--output", "yaml"], 2, "invalid choice: 'yaml'"),
        (["show", "--from", "/no/such\nfile"], 2, r"/no/such\nfile"),
        (["replay", "/no/such/file"], 2, "/no/such/file"),
        (["unpin", "--what"], 2, "--what"),
        (["nonsense"], 2, "invalid choice: 'nonsense'"),
    ],
)
def test_a_commands_error_is_in_the_format_asked_for(
    argv: list[str], status: int, words: str
) -> None:
    given = run(argv[0], "--log.format=json", *argv[1:])
    inherited = run(*argv, CONTAINER_OOMKILL_LOG_FORMAT="json")
    for done in (given, inherited):
        assert (done.returncode, done.stdout) == (status, "")
        found: dict[str, Any] = json.loads(done.stderr)
        assert done.stderr.count("\n") == 1
        assert found["level"] == "ERROR"
        assert words in found["msg"]
    plain = run(*argv)
    assert plain.stderr.startswith("container-oomkill: ")
    assert words in plain.stderr


@pytest.mark.parametrize("option", ["--log.format=xml", "--log.level=loud", "--log.format"])
def test_a_wrong_log_option_is_wrong_usage(option: str) -> None:
    done = run("doctor", option)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"container-oomkill: argument {option.partition('=')[0]}: ")


def test_a_bug_is_one_line_where_programs_read() -> None:
    lines = ["from container_oomkill.system import log", "log.configure(form='json')", "0 / 0"]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    found = json.loads(done.stderr)
    assert (found["level"], found["msg"]) == ("ERROR", "ZeroDivisionError: division by zero")
    assert found["stack"].startswith("Traceback (most recent call last):\n")
    assert found["source"] == "<string>:3"


def test_nothing_slow_is_imported_for_it() -> None:
    """It runs before attaching."""
    program = (
        "import sys; before = set(sys.modules); from container_oomkill.system import log;"
        "log.warn('so'); print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    others = {each for each in done.stdout.split() if "container_oomkill" not in each}
    assert others <= {"__future__", "time"}


def elsewhere(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that write to stderr, or to a log of another kind."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
                pass
            case ast.ImportFrom(module=str(name)):
                pass
            case _:
                continue
        if name.partition(".")[0] in {"stderr", "__stderr__", "logging", "warnings", "syslog"}:
            yield node.lineno


def test_nothing_else_writes_to_stderr() -> None:
    files = sorted(SOURCES.rglob("*.py"))
    assert {file.relative_to(SOURCES).as_posix() for file in files} > WRITERS
    found = {
        f"{file.relative_to(SOURCES)}:{line}"
        for file in files
        if file.relative_to(SOURCES).as_posix() not in WRITERS
        for line in elsewhere(ast.parse(file.read_text()))
    }
    written = re.compile(r"\bstderr\b|\bperror\b|STDERR_FILENO|\bsyslog\(")
    found |= {
        f"{file.relative_to(SOURCES)}:{number}"
        for file in SOURCES.rglob("*.[ch]")
        if not file.name.startswith("_")  # made by cffi
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if written.search(line)
    }
    assert found == set()


@pytest.mark.parametrize(
    "program", ["print(1, file=sys.stderr)", "import logging", "from warnings import warn"]
)
def test_what_would_write_elsewhere_is_found(program: str) -> None:
    assert list(elsewhere(ast.parse(program))) == [1]
