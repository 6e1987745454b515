# SPDX-License-Identifier: Apache-2.0
"""Lists the modules that the commands of an installed container-oomkill really load.

Our own modules by reading: what a command imports, in a function too, and so on from there; what is
in `APART` has an image of its own. All others by running: what was read is imported, the
commands that need no kernel are run, and what Python then holds is taken. What nothing of that
reaches is in `ALSO`. tests/images runs every command in the images.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "container_oomkill"
READING = ("probe", "doctor", "replay", "unpin", "show", "why", "explain", "schema", "demo")
COMMANDS = {
    "probe": ("probe", "doctor", "replay", "unpin"),
    "exporter": (*READING, "exporter"),
    "exporter-full": (*READING, "exporter"),
}
# Of our own, what an image does not have: it says then which one does.
API = (f"{PACKAGE}.kubernetes",)  # urllib3, msgspec
OF_PEOPLE = (f"{PACKAGE}.kubernetes.exec_plugin",)  # programs that log in, on their own machines
AGENTS = (f"{PACKAGE}.cli.mcp",)  # 40 MB of libraries
ASKED = (f"{PACKAGE}.identity.runtimes.engine_socket",)  # http.client and email
SENT = (f"{PACKAGE}.otlp", f"{PACKAGE}.sending", f"{PACKAGE}.webhook")  # the same
SERVED = (  # OpenSSL, libcrypt, PyYAML
    f"{PACKAGE}.exporter.exporter",  # its settings stay: they say which options there are
    f"{PACKAGE}.exporter.retry_attach",
    f"{PACKAGE}.web",
)
APART = {
    "probe": (*API, *AGENTS, *ASKED, *SENT, *SERVED),
    "exporter": (*API, *AGENTS, *ASKED, *SENT),
    "exporter-full": (*OF_PEOPLE, *AGENTS),
}

# Loaded by Python itself, by name, at moments that running the commands does not bring about.
ALSO = (
    "encodings.ascii",
    "encodings.idna",  # any look-up of a host name
    "encodings.latin_1",
    "encodings.utf_8",
    "encodings.utf_8_sig",
    "os",  # frozen; the file is how Python finds its folder
    "runpy",  # python -m
    "traceback",  # an uncaught exception
    "zlib",  # what image_root.py packs
)

# Loaded by modules that can do without, for what no command does; each drags a C library in.
WITHOUT = (
    "_hashlib",  # hashlib and hmac: Python has the algorithms itself
    "bz2",  # shutil, for archives
    "lzma",
    "yaml._yaml",  # PyYAML, for large files
    "readline",  # pdb, which pyelftools imports
)

# One command; what it leaves loaded goes to a file, as the command may do anything to its output.
RUN = """
import importlib, json, sys
file, path, first, without, argv = json.loads(sys.argv[1])
sys.path.append(path)  # and no site-packages' own start-up code
sys.modules.update(dict.fromkeys(without))
for name in first:
    importlib.import_module(name)
try:
    from container_oomkill.cli.main import main
    main(argv)
finally:
    import socket
    socket.getaddrinfo("localhost", 80)
    found = {}
    for name, module in sys.modules.items():
        spec = getattr(module, "__spec__", None)
        if spec and spec.has_location and spec.origin:
            found[spec.name] = spec.origin
        elif spec and spec.origin == "frozen" and name in first:
            found[name] = module.__file__
    with open(file, "w") as out:
        json.dump(found, out)
"""


def modules(image: str) -> dict[str, Path]:
    """Return the files by module name; ``image``: one of `COMMANDS`."""
    needed = _needed(image)
    recording = str(Path(__file__).with_name("recording.jsonl"))
    runs = [[*command, "--help"] for command in ([], *([each] for each in COMMANDS[image]))]
    runs += [["--version"], ["no-such-command"], ["probe"], ["doctor"], ["doctor", "-o", "json"]]
    runs += [["replay", recording, "-o", each] for each in ("text", "json", "logfmt")]
    if "show" in COMMANDS[image]:
        runs += [["show", "--from", recording], ["show"], ["explain"], ["explain", "x"], ["demo"]]
        runs += [["schema"]]
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "found")
        for argv in runs:
            path = sysconfig.get_path("purelib")
            argument = json.dumps([str(file), path, [*needed, *ALSO], WITHOUT, argv])
            command = [sys.executable, "-I", "-S", "-c", RUN, argument]
            # How it ends matters not: in a build nothing can attach. What was loaded does.
            subprocess.run(command, capture_output=True, check=False, timeout=60)
            found |= json.loads(file.read_text())
            file.unlink()
    return {name: Path(path) for name, path in sorted(found.items())}


def _needed(image: str) -> list[str]:
    """Follow the imports from cli.main, into the modules of the commands that the image has.

    Our own modules come first: one of them chooses how much of prometheus_client is imported.
    """
    others = set(COMMANDS["exporter-full"]) - set(COMMANDS[image])
    apart = (*APART[image], *(f"{PACKAGE}.cli.{command}" for command in others))
    own: set[str] = set()
    foreign: set[str] = set()
    waiting = [f"{PACKAGE}.cli.main"]
    while waiting:
        name = waiting.pop()
        if name.partition(".")[0] != PACKAGE:
            foreign.add(name)
            continue
        if name in own or f"{name}.".startswith(tuple(f"{each}." for each in apart)):
            continue
        if (spec := _spec(name)) is None:
            continue
        own.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        if spec.origin and spec.origin.endswith(".py"):
            tree = _Run().visit(ast.parse(Path(spec.origin).read_text()))
            package = name if spec.submodule_search_locations else name.rpartition(".")[0]
            waiting += _imports(tree, package)
    return [*sorted(own), *sorted(foreign)]


class _Run(ast.NodeTransformer):
    """Without what only a type checker reads."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else node


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield base
            if base.partition(".")[0] == PACKAGE:
                yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # a name in a module, not a module
        return None


if __name__ == "__main__":
    for name, path in modules(sys.argv[1]).items():
        print(name, path)
