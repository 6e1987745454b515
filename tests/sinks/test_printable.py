# SPDX-License-Identifier: Apache-2.0
"""Sentences that do not fit lose clauses, not words."""

from __future__ import annotations

import pytest

from container_oomkill.sinks.printable import cut_end, shorten_sentence, width, wrap

SENTENCE = "its own limit (64.0 MiB): 98 % is anonymous memory of app, 1 % kernel; it died young"


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (200, SENTENCE),
        (len(SENTENCE), SENTENCE),
        (
            len(SENTENCE) - 1,
            "its own limit (64.0 MiB): 98 % is anonymous memory of app, 1 % kernel …",
        ),
        (62, "its own limit (64.0 MiB): 98 % is anonymous memory of app …"),
        (40, "its own limit (64.0 MiB) …"),
        (20, "its own limit …"),
        (5, "its …"),
        (2, "…"),
    ],
)
def test_a_sentence_ends_with_a_clause(room: int, shown: str) -> None:
    assert shorten_sentence(SENTENCE, lambda text: len(text) <= room) == shown


def test_a_sentence_of_many_words_is_tried_a_few_times() -> None:
    """Names in it may be anybody's choice, and as long."""
    tried = []

    def fits(text: str) -> bool:
        tried.append(text)
        return len(text) <= 80

    for text in ("x " * 100_000, "x, " * 100_000):
        assert 70 < len(shorten_sentence(text, fits)) <= 80
    assert len(tried) < 100


def test_what_has_no_blank_is_cut_by_wrapping() -> None:
    name = "漢" * 500
    assert shorten_sentence(name, lambda text: len(wrap(text, 40, " ")) <= 2) == name
    assert width(cut_end(name, 41)) <= 41
    assert cut_end("short", 5) == "short"
