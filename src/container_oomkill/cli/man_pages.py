# SPDX-License-Identifier: Apache-2.0
"""Writes the man pages, section 1, from the parser.

python -m container_oomkill.cli.man_pages FOLDER

Own roff and no library: argparse-manpage takes an epilog for one filled paragraph, names a page
after `prog` (two words here) and leaves out the `name - what it is` that whatis(1) reads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from .options import COMMANDS
from .parser import NAME
from .reference import Option, Reference, plugin_reference, reference

VERBATIM = ("examples",)
FILES = {
    "/etc/default/container-oomkill": "Variables for the systemd unit.",
    "/run/container-oomkill": "Unix sockets of the systemd unit (RuntimeDirectory).",
    "/var/lib/container-oomkill": "For --history of the systemd unit (StateDirectory).",
    "/sys/fs/bpf/container-oomkill": "Where --pin keeps hooks and records.",
}
PLUGIN = "kubectl-oomkill"
PLUGIN_FILES = {"~/.kube/config": "How to reach the cluster, without --kubeconfig and $KUBECONFIG."}


def pages(date: str) -> dict[str, str]:
    """Return each page's file name and text; ``date``, like 2026-11-30, is what the pages bear."""
    program = reference()
    found = {f"{NAME}.1": _page(program, program, date)}
    for command in COMMANDS:
        found[f"{NAME}-{command}.1"] = _page(reference(command), program, date)
    its = plugin_reference()
    found[f"{PLUGIN}.1"] = _page(its, its, date, PLUGIN_FILES)
    return found


def _page(of: Reference, program: Reference, date: str, files: Mapping[str, str] = FILES) -> str:
    """``program``: whose paragraphs stand on the page too."""
    title = of.name.replace(" ", "-")
    words = of.description.removesuffix(".")
    lines = [
        f".TH {_quoted(title.upper())} 1 {_quoted(date)} {_quoted(f'{NAME} {__version__}')}",
        ".SH NAME",
        f"{_text(title)} \\- {_text(words[0].lower() + words[1:])}",
        ".SH SYNOPSIS",
        f"\\fB{_text(of.name)}\\fR{_text(of.usage.removeprefix(of.name))}",
        ".SH DESCRIPTION",
        _text(of.description),
    ]
    if of.commands:
        lines.append(".SH COMMANDS")
    for name, summary in of.commands.items():
        lines += [".TP", f"\\fB{_text(NAME)}\\-{_text(name)}\\fR(1)", _text(summary)]
    lines.append(".SH OPTIONS")
    for group in of.groups:
        lines += [f".SS {_quoted(group.title)}"] if group.title else []
        lines += [_text(group.description)] if group.description else []
        for option in group.options:
            lines += [".TP", _head(option), _text(option.help)]
    for name, block in {**program.blocks, **of.blocks}.items():
        if name in VERBATIM and name not in of.blocks:
            continue  # the program's examples belong to its own page alone
        lines.append(f".SH {_quoted(name.upper())}")
        lines += [".nf", *map(_text, block), ".fi"] if name in VERBATIM else map(_text, block)
    lines.append(".SH FILES")
    for file, what in files.items():
        lines += [".TP", f"\\fI{_text(file)}\\fR", _text(what)]
    others = [NAME, *(f"{NAME}-{command}" for command in COMMANDS), PLUGIN]
    lines.append(".SH SEE ALSO")
    lines.append(",\n".join(f"\\fB{_text(each)}\\fR(1)" for each in others if each != title))
    return "\n".join(lines) + "\n"


def _head(option: Option) -> str:
    value = f"\\fI{_text(option.value)}\\fR" if option.value else ""
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.names)
    return " ".join(filter(None, (names, value)))


def _text(text: str) -> str:
    """Escape what roff takes for its own; a hyphen stays one that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _quoted(text: str) -> str:
    return '"' + _text(text).replace('"', "\\(dq") + '"'


def main(folder: Path) -> None:
    """Write the pages; $SOURCE_DATE_EPOCH is their date, as for all that is built."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(f"{now:%Y-%m-%d}").items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m container_oomkill.cli.man_pages FOLDER")
    main(Path(sys.argv[1]))
