# SPDX-License-Identifier: Apache-2.0
"""Makes an image archive of one static program, as `docker save` writes it.

Docker, Podman and containerd all load it: nothing is pulled from anywhere.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

IMAGE = "localhost/hog:test"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_archive(path: Path, program: Path, machine: str) -> Path:
    """Write the archive; the image runs ``/hog wait`` unless told otherwise, as a pause does."""
    layer = tar({"hog": (program.read_bytes(), 0o755)})
    config = {
        "architecture": MACHINES[machine],
        "os": "linux",
        "config": {"Cmd": ["/hog", "wait"], "Env": ["PATH=/"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created_by": "the tests"}],
    }
    text = json.dumps(config).encode()
    name = hashlib.sha256(text).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    files = {name: text, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(tar({each: (data, 0o644) for each, data in files.items()}))
    return path


def tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, (data, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()
