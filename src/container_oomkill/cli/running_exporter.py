# SPDX-License-Identifier: Apache-2.0
"""Finds the exporter that runs here, for `show`: by its command line, as any user can read it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from ..errors import UsageError
from ..web.http.listen import EVERY_INTERFACE, Address, parse_address
from .environment import variable_of

DEFAULT = "http://127.0.0.1:9262"
LISTEN, CONFIG = "--web.listen-address", "--web.config.file"
PROGRAMS = ("container-oomkill", "container_oomkill")  # the latter after `python -m`
PATIENCE_SECONDS = 2.0


def find_exporter(proc: str = "/proc", environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL of the first that answers; where none does, the usual one.

    Raises `UsageError` for one that may want TLS or a user, which only the caller knows.
    """
    seen: set[str] = set()
    for argv, variables in _exporters(proc, environ):
        for url in _urls(argv, variables):
            if url in seen or not _answers(url):
                continue
            if _values(argv, variables, CONFIG):
                address = url.partition("://")[2]
                raise UsageError(
                    f"the exporter at {address} has a {CONFIG}: pass --url http://{address}, or "
                    f"https, and --user or --ca-file as that file demands"
                )
            return url
        seen.update(_urls(argv, variables))
    return DEFAULT


def _exporters(
    proc: str, environ: Mapping[str, str]
) -> Iterator[tuple[Sequence[str], Mapping[str, str]]]:
    """Yield the arguments and the variables of each that runs; first, what our own would be."""
    if variable_of(LISTEN) in environ:  # of a container: `docker exec` has its variables
        yield (), environ
    for folder in sorted(Path(proc).glob("[0-9]*"), key=lambda path: int(path.name)):
        with suppress(OSError):  # it has just ended, or is hidden
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if (arguments := _arguments(words)) is not None:
                yield arguments, _environment(folder) or environ


def _arguments(words: Sequence[str]) -> Sequence[str] | None:
    """Return what follows `container-oomkill exporter`; None where that is not what runs."""
    for number, word in enumerate(words[:4]):  # after an interpreter and its options
        if word.rpartition("/")[2] in PROGRAMS and words[number + 1 : number + 2] == ["exporter"]:
            return words[number + 2 :]
    return None


def _environment(folder: Path) -> dict[str, str] | None:
    """Return its variables, which only its user may read."""
    try:
        text = (folder / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return None
    return dict(each.split("=", 1) for each in text.split("\0") if "=" in each)


def _values(argv: Sequence[str], variables: Mapping[str, str], option: str) -> list[str]:
    """Return what an option is set to, as `parser.parse` would."""
    found = [word.partition("=")[2] for word in argv if word.startswith(f"{option}=")]
    found += [value for word, value in pairwise(argv) if word == option]
    found = found or [variables.get(variable_of(option), "")]
    return [each for value in found for each in value.split(",") if each]


def _urls(argv: Sequence[str], variables: Mapping[str, str]) -> Iterator[str]:
    for text in _values(argv, variables, LISTEN) or [":9262"]:
        with suppress(UsageError):
            address = parse_address(text.strip())
            if address.path or address.port:  # 0: a port that it alone knows
                yield _url(address)


def _url(address: Address) -> str:
    if address.path:
        return f"unix:{address.path}"
    host = "127.0.0.1" if address.host in EVERY_INTERFACE else address.host
    return f"http://{Address(host, address.port)}"


def _answers(url: str) -> bool:
    try:
        if url.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(PATIENCE_SECONDS)
                asking.connect(url.removeprefix("unix:"))
        else:
            host, _, port = url.partition("://")[2].rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE_SECONDS).close()
    except OSError:
        return False
    return True
