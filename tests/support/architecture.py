# SPDX-License-Identifier: Apache-2.0
"""What src/container_oomkill may import, what it does import, and the graph of it.

python -m tests.support.architecture    # draws the graph in docs/architecture.md
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "container_oomkill"
SOURCES = REPOSITORY / "src" / PACKAGE
PAGE = REPOSITORY / "docs" / "architecture.md"
BEGIN = "<!-- drawn by `python -m tests.support.architecture`: change its table, not this -->\n"
END = "<!-- end of the graph -->\n"

# THE table: each stage and all that it imports. A row names only rows above it, so that data flows
# one way. Imports for types count as well.
STAGES: dict[str, tuple[str, ...]] = {
    "libbpf": (),
    "incident": (),
    "recorder": ("libbpf", "incident"),
    "identity": ("incident",),
    "killers": ("libbpf", "incident", "identity"),
    "stuck": ("incident",),
    # The wire format is the kernel's side of an incident.
    "probe": ("libbpf", "incident", "recorder", "killers"),
    "diagnosis": ("incident", "identity"),
    "sinks": ("incident", "killers", "stuck", "diagnosis"),
    "pipeline": ("libbpf", "incident", "killers", "stuck", "probe", "identity", "diagnosis"),
    "metrics": ("incident", "killers", "stuck", "probe", "sinks"),
    "history": ("incident", "killers", "stuck", "probe", "sinks"),
    "web": (
        *("incident", "killers", "stuck", "identity", "diagnosis", "sinks", "metrics", "history"),
    ),
    "symbols": (),
    "doctor": ("libbpf", "recorder", "probe", "identity"),
    "kubernetes": ("incident", "identity", "killers", "diagnosis", "sinks", "doctor"),
    "fleet": ("incident", "sinks", "kubernetes"),
    "sending": ("sinks", "history"),
    "otlp": ("incident", "killers", "stuck", "sinks", "sending"),
    "webhook": ("incident", "sinks", "sending", "otlp"),
    "exporter": (
        *("incident", "killers", "stuck", "probe", "identity", "sinks", "metrics", "history"),
        "web",
    ),
    "cli": (
        *("libbpf", "incident", "recorder", "killers", "stuck", "probe", "identity", "diagnosis"),
        *("sinks", "symbols", "pipeline", "doctor", "kubernetes", "fleet", "sending", "otlp"),
        *("webhook", "exporter", "web", "history"),
    ),
}
# What knows nothing of a kill, for every stage to use; each of these uses only those before it.
GROUND = ("errors", "units", "system")


@functools.cache
def modules() -> dict[str, Path]:
    """Every module by its name below the package, "" for the package itself."""
    found = {}
    for path in sorted(SOURCES.rglob("*.py")):
        parts = path.relative_to(SOURCES).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, known: Mapping[str, Path]) -> set[str]:
    """The modules of ours that one imports, anywhere in it and for whatever purpose."""
    path = known[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name.removeprefix(PACKAGE).lstrip(".") for each in node.names
                      if each.name.split(".")[0] == PACKAGE}  # fmt: skip
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            parts = [*filter(None, above), *(node.module or "").split(".")]
            if not node.level:
                if parts[0] != PACKAGE:
                    continue
                parts = parts[1:]
            of = ".".join(filter(None, parts))
            names = {".".join(filter(None, (of, each.name))) for each in node.names}
            found |= {name if name in known else of for name in names}
    return found


def stage(module: str) -> str:
    """The folder, or the file, that a module is in."""
    return module.split(".")[0]


@functools.cache
def stages() -> dict[str, set[str]]:
    """What each stage imports of the others, as it is."""
    known = modules()
    found: dict[str, set[str]] = {stage(module): set() for module in known}
    for module in known:
        found[stage(module)] |= {stage(each) for each in imports(module, known)} - {stage(module)}
    return found


def reachable(name: str, table: Mapping[str, Collection[str]]) -> set[str]:
    """All that a stage imports by way of others."""
    found = set(table[name])
    for each in table[name]:
        found |= reachable(each, table)
    return found


def draw(table: Mapping[str, Collection[str]]) -> str:
    """The graph for Mermaid, without the arrows that follow from others."""
    lines = ["```mermaid", "flowchart TD"]
    for name in reversed([*table]):
        implied: set[str] = set().union(*(reachable(each, table) for each in table[name]))
        lines += [f"    {name} --> {each}" for each in table[name] if each not in implied]
    return "\n".join([*lines, "```", ""])


def drawn(page: str) -> str:
    """The page with the graph as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{draw(STAGES)}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
