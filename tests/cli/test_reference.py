# SPDX-License-Identifier: Apache-2.0
"""Man pages and docs/options.md: written from the parser, complete, and read without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from container_oomkill import __version__
from container_oomkill.cli.man_pages import _quoted, _text, main, pages
from container_oomkill.cli.options import COMMANDS
from container_oomkill.cli.options_page import document
from container_oomkill.cli.parser import build_parser
from container_oomkill.cli.reference import plugin_reference, reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "options.md"
PAGES = pages("2026-11-30")

each_page = pytest.mark.parametrize("name", PAGES)


def options(command: str) -> set[str]:
    _, parser = build_parser(command)
    assert parser is not None
    return set(parser._option_string_actions)


def test_document_is_up_to_date() -> None:
    """To bring it: python -m container_oomkill.cli.options_page docs/options.md"""
    assert document() == DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_document_has_every_option_with_its_variable(command: str) -> None:
    text = document()
    part = text.partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    rows = part + text.partition("\n## Of every command\n")[2]
    for option in options(command) - {"-h", "--help"}:
        assert re.search(rf"`{re.escape(option)}[ `]", rows), option
    assert "| `--log.level info\\|warn\\|error` |" in rows
    assert "`CONTAINER_OOMKILL_LOG_LEVEL`" in rows


def test_the_document_has_the_plugin_without_variables() -> None:
    part = document().partition("\n## kubectl oomkill\n")[2].partition("\n## ")[0]
    for group in plugin_reference().groups:
        for option in group.options:
            assert option.variable is None
            if "--help" not in option.names:
                assert all(f"`{name}" in part for name in option.names)
    assert "`-n NAME`, `--namespace NAME`" in part
    assert "`KUBECONFIG`" in part
    assert "CONTAINER_OOMKILL_" not in part


def test_show_node_has_no_variable() -> None:
    """It would be that of the exporter's own name."""
    of = {name: option for group in reference("show").groups for option in group.options
          for name in option.names}  # fmt: skip
    assert of["--node"].variable is None
    assert of["--pod"].variable == "CONTAINER_OOMKILL_POD"


def test_every_command_has_its_page() -> None:
    wanted = ["container-oomkill.1", *(f"container-oomkill-{name}.1" for name in COMMANDS)]
    assert list(PAGES) == [*wanted, "kubectl-oomkill.1"]


@pytest.fixture
def read(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A page as man(1) shows it, 400 columns wide: nothing is broken into lines."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("no groff here: apt-get install groff-base")
    file = tmp_path / "page.1"
    file.write_text(PAGES[request.getfixturevalue("name")], encoding="utf-8")
    command = [groff, "-ww", "-man", "-Tutf8", "-Kutf8", "-P-cbou", "-rLL=400n", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    # A hyphen that is one in ASCII can be copied into a shell.
    assert "\N{HYPHEN}" not in done.stdout
    return re.sub(r" +", " ", done.stdout)


@each_page
def test_man_reads_it_without_a_warning(name: str, read: str) -> None:
    command = name.removeprefix("container-oomkill").removesuffix(".1").strip("-")
    of = plugin_reference() if command == "kubectl-oomkill" else reference(command)
    for group in of.groups:
        for option in group.options:
            assert f"{', '.join(option.names)} {option.value or ''}".strip() in read
            assert " ".join(option.help.split()) in read
    assert f"container-oomkill {__version__}" in read
    assert "2026-11-30" in read
    assert "2 wrong usage" in read
    for other in PAGES.keys() - {name}:
        assert f"{other.removesuffix('.1')}(1)" in read


@each_page
def test_whatis_finds_its_name(name: str) -> None:
    """The first lines are `name - what it is`, from which apropos makes its index."""
    title = re.escape(name.removesuffix(".1").replace("-", "\\-"))
    assert re.search(rf"^\.SH NAME\n{title} \\- [a-z].+[^.]$", PAGES[name], re.MULTILINE)


def test_text_that_roff_would_take_for_its_own() -> None:
    """A line that begins with a dot or a quote is text, and a backslash is one."""
    assert _text(".5 of it") == "\\&.5 of it"
    assert _text("'as is'") == "\\&'as is'"
    assert _text("a\\b") == "a\\eb"
    assert _quoted('say "x"') == '"say \\(dqx\\(dq"'


def test_the_date_is_that_of_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SOURCE_DATE_EPOCH", "86400")
    main(tmp_path)
    assert '"1970\\-01\\-02"' in (tmp_path / "container-oomkill.1").read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(PAGES)
