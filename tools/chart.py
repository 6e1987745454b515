#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes where a release is into what it deploys: `chart.py FOLDER [NAME@DIGEST...]`.

FOLDER is a copy of this repository. NAME@DIGEST is an image as it was pushed,
HOST/PATH/NAME@sha256:...: the chart's values and annotations and the manifests then have it.
Without any, they stay as they are. What CHANGELOG.md has of the chart's version, Artifact Hub
shows as what changed.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

CHART = "deploy/helm/container-oomkill/Chart.yaml"
VALUES = "deploy/helm/container-oomkill/values.yaml"
IMAGES = "deploy/kubernetes/components/images/kustomization.yaml"
PUSHED = re.compile(
    r"(?P<place>.+/(?P<name>container-oomkill-[a-z-]+))@(?P<digest>sha256:[0-9a-f]{64})"
)
EXPORTER = "container-oomkill-exporter"
FULL = f"{EXPORTER}-full"
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def pin(folder: Path, pushed: list[str]) -> None:
    """Raise `SystemExit` with what is wrong, before anything is written."""
    found = {}
    for each in pushed:
        match = PUSHED.fullmatch(each)
        if not match:
            raise SystemExit(f"chart: expected HOST/PATH/NAME@sha256:..., found {each!r}")
        found[match["name"]] = (match["place"], match["digest"])
    if set(found) != {EXPORTER, FULL} or found[FULL][0] != f"{found[EXPORTER][0]}-full":
        raise SystemExit(f"chart: expected {EXPORTER} and {FULL} of one registry, found {pushed}")
    changes = [
        (VALUES, r"(?<=^  repository: ).*", found[EXPORTER][0]),
        (VALUES, r'(?<=^  digest: ")(?=")', found[EXPORTER][1]),
        (VALUES, r'(?<=^  fullDigest: ")(?=")', found[FULL][1]),
    ]
    for name, (place, digest) in found.items():
        shown = rf"(?<=^      image: ){name}(?=:)"
        changes.append((CHART, shown, place))
        used = rf"(?<=^  - name: {name}\n)    newTag: .*"
        changes.append((IMAGES, used, f"    newName: {place}\n    digest: {digest}"))
    _write(folder, changes)


def describe(folder: Path) -> None:
    """The annotation with the changes, if the changelog has any of this version."""
    (version,) = re.findall(r"^appVersion: (.*)$", (folder / CHART).read_text(), re.MULTILINE)
    changes = changed((folder / "CHANGELOG.md").read_text(), version)
    if changes:
        # JSON is YAML, and quotes whatever is in a sentence.
        lines = "".join(f"    - {json.dumps(each, ensure_ascii=False)}\n" for each in changes)
        where = r"^  artifacthub.io/images: "
        _write(
            folder,
            [(CHART, where, f"  artifacthub.io/changes: |\n{lines}  artifacthub.io/images: ")],
        )


def changed(changelog: str, version: str) -> list[dict[str, str]]:
    """Its entries, each with the kind that Artifact Hub knows its heading by."""
    _, _, after = changelog.partition(f"\n## [{version}] - ")
    made, kind = [], "changed"
    for part in re.split(r"\n(?=- |#)", after.partition("\n## ")[0])[1:]:
        if part.startswith("### "):
            heading = part.split()[1]
            kind = heading.lower() if heading in KINDS else "changed"
        elif part.startswith("- "):
            made.append({"kind": kind, "description": " ".join(part[2:].split())})
    return made


def _write(folder: Path, changes: list[tuple[str, str, str]]) -> None:
    files = {name: (folder / name).read_text() for name in {name for name, _, _ in changes}}
    for name, pattern, text in changes:
        files[name], count = re.subn(
            pattern, text.replace("\\", r"\\"), files[name], flags=re.MULTILINE
        )
        if count != 1:
            raise SystemExit(f"chart: {pattern} is {count} times in {name}")
    for name, text in files.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: tools/chart.py FOLDER [NAME@DIGEST...]")
    if sys.argv[2:]:
        pin(Path(sys.argv[1]), sys.argv[2:])
    describe(Path(sys.argv[1]))
