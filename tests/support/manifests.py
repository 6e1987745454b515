# SPDX-License-Identifier: Apache-2.0
"""Runs kustomize and helm and returns the objects they make."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
CHART = DEPLOY / "helm" / "container-oomkill"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
OLDEST, NEWEST = "1.25.0", "1.37.0"
NAME = "container-oomkill"
REQUIRE = "OOMKILL_TEST_MANIFESTS"

Manifest = dict[str, Any]


def tool(name: str) -> str:
    """Return the path of helm or kustomize; skip where it could not be had."""
    cached = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), NAME, "tools", name)
    found = str(cached) if cached.exists() else shutil.which(name)
    if found is None:
        reason = f"no {name} here: tools/kubernetes-tools.sh, which needs go"
        if os.environ.get(REQUIRE) == "all":
            pytest.fail(f"{reason} ({REQUIRE}=all forbids to skip)")
        pytest.skip(f"{reason} ({REQUIRE}=all makes this a failure)")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def objects(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if each]


@cache
def kustomized(overlay: str) -> list[Manifest]:
    done = run(tool("kustomize"), "build", str(KUBERNETES / "overlays" / overlay))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # warnings are of what will not work for long
    return objects(done.stdout)


def template(
    *options: str, release: str = NAME, namespace: str = NAME
) -> subprocess.CompletedProcess[str]:
    """Render the chart for the oldest Kubernetes it is for."""
    command = (tool("helm"), "template", release, str(CHART), "--namespace", namespace)
    return run(*command, "--kube-version", OLDEST, *options)


def charted(*options: str, release: str = NAME, namespace: str = NAME) -> list[Manifest]:
    done = template(*options, release=release, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def one(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the only object of a kind."""
    (found,) = [each for each in manifests if each["kind"] == kind]
    return found


def pod(manifests: list[Manifest]) -> Manifest:
    """Return the pods' specification."""
    spec: Manifest = one(manifests, "DaemonSet")["spec"]["template"]["spec"]
    return spec


def container(manifests: list[Manifest]) -> Manifest:
    (only,) = pod(manifests)["containers"]
    found: Manifest = only
    return found


def environment(manifests: list[Manifest]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container(manifests)["env"]}


def unfolded(value: Any) -> Any:
    """Return it with every run of white space as one space: kustomize folds long lines anew."""
    if isinstance(value, dict):
        return {key: unfolded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [unfolded(each) for each in value]
    return " ".join(value.split()) if isinstance(value, str) else value
