# SPDX-License-Identifier: Apache-2.0
"""Data flows one way: no import runs upward. And the tests mirror the tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .support.architecture import (
    BEGIN,
    END,
    GROUND,
    PAGE,
    SOURCES,
    STAGES,
    drawn,
    imports,
    modules,
    stages,
)

TESTS = Path(__file__).parent
# Suites that no folder of the sources is the measure of.
SUITES = {"collector",
    "bench", "browser", "chaos", "cluster", "data", "deploy", "docs", "fuzz", "images", "kernel",
    "packages", "prometheus", "release", "runtimes", "support", "vm",
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_the_table_has_no_row_that_names_one_below(name: str) -> None:
    above = [*STAGES][: [*STAGES].index(name)]
    assert set(STAGES[name]) <= set(above)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_imports_what_the_table_says(name: str) -> None:
    """A new import of a row above belongs into the table; any other means another place for it."""
    assert stages()[name] - {*GROUND, ""} == set(STAGES[name])


def test_every_folder_is_in_the_table() -> None:
    assert set(stages()) == {*STAGES, *GROUND, "", "__main__"}


def test_the_ground_knows_nothing_of_a_kill() -> None:
    found = stages()
    for number, name in enumerate(GROUND):
        assert found[name] - {""} <= set(GROUND[:number])
    assert found[""] == set()
    assert found["__main__"] == {"cli"}


def test_the_web_server_knows_nothing_of_a_kill() -> None:
    known = modules()
    found = {
        each.split(".")[0]
        for module in known
        if module.startswith("web.http")
        for each in imports(module, known)
        if not each.startswith("web.http")
    }
    assert found <= set(GROUND)


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = modules()
    of = {module: imports(module, known) for module in known}
    left = set(of)
    while free := {module for module in left if not (of[module] - {module}) & left}:
        left -= free
    assert left == set()


def test_imports_of_every_kind_are_found(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "from .. import units\n"
        "from ..sinks import text\n"
        "from ..incident.model import Incident\n"
        "from .. import __version__\n"
        "import container_oomkill.errors\n"
        "from container_oomkill.probe import pins\n"
        "if TYPE_CHECKING:\n"
        "    from ..web.routes import Routes\n"
        "def later() -> None:\n"
        "    from .two import three\n"
    )
    known = modules() | {"identity.one": source, "identity.two": source}
    assert imports("identity.one", known) == {
        "", "errors", "identity.two", "incident.model", "probe.pins", "sinks.text", "units",
        "web.routes",
    }  # fmt: skip


def test_the_page_shows_the_table() -> None:
    """To bring it: python -m tests.support.architecture"""
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    assert page == drawn(page)


def test_there_is_one_conftest() -> None:
    assert list(TESTS.rglob("conftest.py")) == [TESTS / "conftest.py"]


def test_the_tests_mirror_the_sources() -> None:
    ours = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    theirs = {path.parent.relative_to(SOURCES) for path in SOURCES.rglob("*.py")}
    assert {path for path in ours if path.parts and path.parts[0] not in SUITES} <= theirs


def test_what_tests_share_is_in_support() -> None:
    """Whoever imports a test imports what it is about to change."""
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                parts = (node.module or "").split(".")
                assert not any(part.startswith("test_") for part in parts), f"{path}: {parts}"
                assert "conftest" not in parts, path


def test_no_test_has_a_deadline_of_its_own() -> None:
    """One profile, in conftest.py, says that examples are not timed."""
    found = {
        path.name
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "deadline"
    }
    assert found == {"conftest.py"}
