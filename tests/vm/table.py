# SPDX-License-Identifier: Apache-2.0
"""Takes `kernels.toml` and a choice ("quick", "all", "6.1,7.3"), gives the rows chosen."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vm.errors import TableError

TABLE = Path(__file__).with_name("kernels.toml")
_KEYS = {"name", "suites", "package", "why", "in_quick", "arch"}


@dataclass(frozen=True)
class KernelSpec:
    """One row: which package is wanted, before anything is fetched."""

    name: str
    suites: tuple[str, ...]
    package: str
    why: str
    modules: tuple[str, ...]
    in_quick: bool = False
    arch: str = "amd64"


def load(path: Path = TABLE) -> tuple[KernelSpec, ...]:
    """Every row, oldest first as written; raises TableError for a row that is not well formed."""
    with path.open("rb") as file:
        data = tomllib.load(file)
    modules = tuple(data["modules"])
    rows = tuple(_row(row, modules, path) for row in data["kernel"])
    names = [row.name for row in rows]
    if len(set(names)) != len(names):
        raise TableError(f"read {path}: a kernel name occurs twice")
    return rows


def _row(row: dict[str, Any], modules: tuple[str, ...], path: Path) -> KernelSpec:
    name = row.get("name", "without a name")
    if unknown := row.keys() - _KEYS:
        raise TableError(f"read {path}: kernel {name}: unknown key {', '.join(sorted(unknown))}")
    if missing := {"name", "suites", "package", "why"} - row.keys():
        raise TableError(f"read {path}: kernel {name}: no {', '.join(sorted(missing))}")
    try:
        re.compile(row["package"])
    except re.error as error:
        raise TableError(f"read {path}: kernel {name}: package: {error}") from error
    return KernelSpec(**{**row, "suites": tuple(row["suites"]), "modules": modules})


def choose(choice: str, rows: tuple[KernelSpec, ...] | None = None) -> tuple[KernelSpec, ...]:
    """Rows for "quick", "all" or names with commas, always in the order of the table."""
    rows = load() if rows is None else rows
    if choice == "all":
        return rows
    if choice == "quick":
        return tuple(row for row in rows if row.in_quick)
    wanted = {name.strip() for name in choice.split(",") if name.strip()}
    known = {row.name for row in rows}
    if not wanted or wanted - known:
        bad = ", ".join(sorted(wanted - known)) or repr(choice)
        raise TableError(
            f"choose kernel {bad}: not in the table; it has {', '.join(sorted(known))}"
        )
    return tuple(row for row in rows if row.name in wanted)
