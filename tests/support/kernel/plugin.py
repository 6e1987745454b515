# SPDX-License-Identifier: Apache-2.0
"""pytest's part in the tests with real kills: hooks to choose, tests to leave out, results to keep.

It works in every suite: what asks for the fixture `hook` runs on each hook, and what a test
`needs` is looked for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from container_oomkill.probe import object_file
from container_oomkill.probe.attach import attach

from .needs import lacking
from .quick import left_to_the_whole_matrix
from .results import Results, hook_of


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hook", help="hooks to test, with commas (default: the best that attaches here)"
    )
    parser.addoption("--refused", help="hooks that this kernel does not have: see refused")
    parser.addoption("--objects", type=Path, help="folder of other builds: see test_compilers")
    parser.addoption(
        "--node-kills", type=int, default=2, help="how many in test_node_kills (default: 2)"
    )
    parser.addoption(
        "--shapes", type=int, default=0, help="how many kills in test_many_shapes (default: none)"
    )
    parser.addoption("--shapes-seed", type=int, help="draw these (default: by chance, printed)")
    parser.addoption("--results", type=Path, help="file for a line of JSON per test: see results")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(what): what a kernel test asks of the machine")
    if path := config.getoption("--results"):
        config.pluginmanager.register(Results(path), "results")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that needs a hook runs once for each; all of one hook's, then the next's."""
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "hook" not in metafunc.fixturenames or "hook" in own or any("hook" in each for each in own):
        return
    if metafunc.module.__name__.endswith(".refused"):
        hooks = metafunc.config.getoption("--refused").split(",")
    else:
        hooks = chosen_hooks(metafunc.config)
    metafunc.parametrize("hook", hooks, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this kernel cannot show, and say so: see `lacking`."""
    results = config.pluginmanager.get_plugin("results")
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    left_out = []
    for item in items:
        if results:
            results.expect(item)
        if reason := _left_out(item):
            left_out.append(item)
            reporter.write_line(f"left out: {item.name}: {reason}")
            if results:
                results.left_out(item, reason)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _left_out(item: pytest.Item) -> str | None:
    hook = hook_of(item)
    lacks = (lacking(marker.args[0], hook) for marker in item.iter_markers("needs"))
    if reason := next(filter(None, lacks), None):
        return reason
    return left_to_the_whole_matrix(item.path.stem, hook)


def chosen_hooks(config: pytest.Config) -> list[str]:
    """Return the hooks under test."""
    if not config.getoption("--hook"):
        with attach(object_file.read_object()) as probe:
            config.option.hook = probe.hook
    hooks: list[str] = config.getoption("--hook").split(",")
    return hooks
