#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes into a wheel, where PEP 770 has it, which libraries it contains: `sbom.py LIST WHEEL`.

CycloneDX 1.6. auditwheel does it for libraries of the distribution; these are built from the
sources in LIST, libraries.txt. To be done before `auditwheel repair`, which writes the RECORD.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

NOT_INSIDE = ("zlib",)  # only linked with


def components(text: str) -> list[dict[str, Any]]:
    """A component for each line."""
    made = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, version, file, digest, licence = line.split(maxsplit=4)
        source = f"?file_name={file}&checksum=sha256:{digest}"
        if name not in NOT_INSIDE:
            made.append(
                {
                    "type": "library",
                    "bom-ref": f"pkg:generic/{name}@{version}",
                    "name": name,
                    "version": version,
                    "purl": f"pkg:generic/{name}@{version}{source}",
                    "licenses": [{"expression": licence}],
                }
            )
    return made


def document(distribution: str, inside: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole of it; ``distribution`` is NAME-VERSION, as a wheel's file name begins."""
    name, _, version = distribution.partition("-")
    own = f"pkg:pypi/{name.replace('_', '-')}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "library", "bom-ref": own, "name": name, "version": version}
            | {"purl": own}
        },
        "components": inside,
        "dependencies": [{"ref": own, "dependsOn": [each["bom-ref"] for each in inside]}],
    }


def main(libraries: Path, wheel: Path) -> None:
    distribution = "-".join(wheel.name.split("-")[:2])
    made = document(distribution, components(libraries.read_text(encoding="utf-8")))
    when = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")))
    info = zipfile.ZipInfo(f"{distribution}.dist-info/sboms/libraries.cdx.json", when[:6])
    info.external_attr = 0o644 << 16
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(info, json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: tools/wheel/sbom.py LIST WHEEL")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
