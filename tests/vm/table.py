# SPDX-License-Identifier: Apache-2.0
"""Reads `kernels.toml` and returns the chosen rows ("quick", "all", "6.1,7.3").

A kernel is booted plain; some of them in another setup as well.
"""

import platform
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.vm.errors import TableError

TABLE = Path(__file__).with_name("kernels.toml")
# Debian's name for it: by uname -m
ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}
NATIVE = ARCHES[platform.machine()]
_KEYS = {"name", "suites", "package", "why", "in_quick", "arch", "refused", "modules"}


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
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setup:
    """One more way to boot a kernel."""

    name: str  # "" is the plain one
    kernel: str = ""
    arch: str = "amd64"
    why: str = ""
    cgroup: Literal["v1", "v2", "hybrid"] = "v2"
    cpus: int = 2
    append: tuple[str, ...] = ()
    tests: str = ""


PLAIN = Setup("")


def setups(kernel: str, arch: str, path: Path = TABLE) -> tuple[Setup, ...]:
    """The plain one and what `path` adds for this kernel."""
    with path.open("rb") as file:
        rows = tomllib.load(file)["setup"]
    try:
        added = tuple(Setup(**row | {"append": tuple(row.get("append", ()))}) for row in rows)
    except TypeError as error:
        raise TableError(f"read {path}: setup: {error}") from error
    return (PLAIN, *(row for row in added if (row.kernel, row.arch) == (kernel, arch)))


def load(path: Path = TABLE) -> tuple[KernelSpec, ...]:
    """Every row, oldest first as written; raises TableError for a row that is not well formed."""
    with path.open("rb") as file:
        data = tomllib.load(file)
    modules = tuple(data["modules"])
    rows = tuple(_row(row, modules, path) for row in data["kernel"])
    names = [(row.name, row.arch) for row in rows]
    if len(set(names)) != len(names):
        raise TableError(f"read {path}: a kernel name occurs twice on one architecture")
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
    lists = {"suites": tuple(row["suites"]), "refused": tuple(row.get("refused", ()))}
    return KernelSpec(**{**row, **lists, "modules": (*modules, *row.get("modules", ()))})


def names(arch: str = NATIVE) -> tuple[str, ...]:
    """Every kernel of `arch`, oldest first."""
    return tuple(row.name for row in load() if row.arch == arch)


def choose(
    choice: str, arch: str = NATIVE, rows: tuple[KernelSpec, ...] | None = None
) -> tuple[KernelSpec, ...]:
    """Rows of `arch` for "quick", "all" or names with commas, in the order of the table."""
    rows = tuple(row for row in (load() if rows is None else rows) if row.arch == arch)
    if choice == "all":
        return rows
    if choice == "quick":
        return tuple(row for row in rows if row.in_quick)
    wanted = {name.strip() for name in choice.split(",") if name.strip()}
    known = {row.name for row in rows}
    if not wanted or wanted - known:
        bad = ", ".join(sorted(wanted - known)) or repr(choice)
        raise TableError(
            f"choose {arch} kernel {bad}: not in the table; it has {', '.join(sorted(known))}"
        )
    return tuple(row for row in rows if row.name in wanted)
