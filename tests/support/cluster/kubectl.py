# SPDX-License-Identifier: Apache-2.0
"""Takes kubectl's program, gives what a person at a terminal sees of the cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import yaml

from .daemons import PATIENCE


class Kubectl:
    """KUBECONFIG of the environment says where, and who."""

    def __init__(self, program: str) -> None:
        self._program = program

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [self._program, *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=PATIENCE
        )

    def command(self, *arguments: str) -> list[str]:
        return [self._program, *arguments]

    def apply(self, objects: Sequence[dict[str, Any]], *options: str) -> str:
        text = yaml.safe_dump_all(objects)
        return self("apply", "--server-side", "--force-conflicts", "-f", "-", *options, stdin=text)

    def delete(self, objects: Sequence[dict[str, Any]]) -> None:
        named = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self("delete", "--ignore-not-found", "--wait=true", "-f", "-", stdin=named)

    def describe(self, namespace: str, pod: str) -> str:
        return self("--namespace", namespace, "describe", "pod", pod)
