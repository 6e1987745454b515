#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts a version: `version.py VERSION DATE [FOLDER]` writes it wherever one stands.

VERSION is Python's (0.1.0, 0.1.0rc1); the chart's is semantic (0.1.0-rc1). DATE is YYYY-MM-DD. What
was "Unreleased" in CHANGELOG.md becomes that version's. The same version once more changes nothing.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

VERSION = re.compile(r"(\d+\.\d+\.\d+)(?:(a|b|rc)(\d+))?")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
UNRELEASED = "## [Unreleased]\n"
PACKAGE = "src/container_oomkill/__init__.py"
CHART = "deploy/helm/container-oomkill/Chart.yaml"
IMAGES = "deploy/kubernetes/components/images/kustomization.yaml"
CHANGELOG = "CHANGELOG.md"


def cut(version: str, date: str, folder: Path) -> None:
    """Raise `SystemExit` with what is wrong, before anything is written."""
    parts = VERSION.fullmatch(version)
    if not parts:
        raise SystemExit(f"version: expected one like 0.1.0 or 0.1.0rc1, found {version!r}")
    if not DATE.fullmatch(date):
        raise SystemExit(f"version: expected a date like 2026-11-30, found {date!r}")
    number, stage, serial = parts.groups()
    semantic = f"{number}-{stage}{serial}" if stage else number
    files = {name: (folder / name).read_text() for name in (PACKAGE, CHART, IMAGES, CHANGELOG)}
    for name, pattern, text in (
        (PACKAGE, r'(?<=^__version__ = ")[^"]*', version),
        (CHART, r"(?<=^version: ).*", semantic),
        (CHART, r"(?<=^appVersion: ).*", version),
        (CHART, r"(?<=^      image: container-oomkill-exporter:).*", version),
        (CHART, r"(?<=^      image: container-oomkill-exporter-full:).*", version),
        (CHART, r'(?<=^  artifacthub.io/prerelease: ").*(?=")', "true" if stage else "false"),
        (IMAGES, r"(?<= newTag: ).*", version),
    ):
        files[name], count = re.subn(pattern, text, files[name], flags=re.MULTILINE)
        if not count:
            raise SystemExit(f"version: no version found in {name}")
    files[CHANGELOG] = _changelog(files[CHANGELOG], version, date)
    for name, text in files.items():
        (folder / name).write_text(text)


def _changelog(text: str, version: str, date: str) -> str:
    if f"\n## [{version}] - " in text:
        return text
    before, heading, after = text.partition(UNRELEASED)
    if not heading or not after.strip() or after.lstrip().startswith("## "):
        raise SystemExit(f"version: nothing is under {UNRELEASED.strip()} in {CHANGELOG}")
    return f"{before}{heading}\n## [{version}] - {date}\n{after}"


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit("usage: tools/version.py VERSION DATE [FOLDER]")
    cut(sys.argv[1], sys.argv[2], Path(sys.argv[3] if len(sys.argv) == 4 else "."))
