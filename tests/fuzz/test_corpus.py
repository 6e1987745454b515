# SPDX-License-Identifier: Apache-2.0
"""What fuzzing has found, and what covers most: every input of the corpus holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import __main__ as runner
from .targets import TARGETS

CORPUS = sorted(path for path in runner.CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name[:12]}")
def test_it_holds(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus() -> None:
    assert set(runner.TARGETS) == set(TARGETS) == {path.parent.name for path in CORPUS}
