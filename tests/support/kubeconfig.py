# SPDX-License-Identifier: Apache-2.0
"""A kubeconfig with one cluster and one user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def kubeconfig(folder: Path, cluster: Any, user: Any, **changes: Any) -> str:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "a", "user": "b"}}],
        "clusters": [{"name": "a", "cluster": cluster}],
        "users": [{"name": "b", "user": user}],
    }
    file = folder / "config"
    file.write_text(yaml.safe_dump(config | changes))
    return str(file)
