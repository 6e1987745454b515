# SPDX-License-Identifier: Apache-2.0
"""The page about kernels is what its data says, and the data is of the kernels we have."""

from __future__ import annotations

import json

from .vm import page, table

DATA = json.loads(page.DATA.read_text(encoding="utf-8"))


def test_the_page_is_what_is_made_of_its_data() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.render(DATA)


def test_every_kernel_of_the_table_is_on_it() -> None:
    named = {kernel["name"] for kernel in DATA["kernels"]}
    assert {spec.name for spec in table.load() if spec.arch == "amd64"} <= named


def test_nothing_failed_in_it() -> None:
    outcomes = {outcome for column in DATA["columns"] for outcome in column["outcomes"].values()}
    assert outcomes == {"ok"}
