# SPDX-License-Identifier: Apache-2.0
"""Takes a version of Kubernetes, gives its programs and etcd, built by the ordinary go command.

`go install` refuses k8s.io/kubernetes: its go.mod replaces the staging modules by folders that its
published module lacks. So their sources are built with that go.mod, every replacement turned into
the published module of the same release. etcd is the one which that go.mod has tested.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ...vm.packages import cache_dir, locked

OLDEST, NEWEST = VERSIONS = ("1.34.4", "1.37.2")
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
ETCD = "go.etcd.io/etcd/server/v3"
STAGED = re.compile(r"(k8s\.io/[\w-]+) => \./staging/src/\S+")
VERSION = "k8s.io/component-base/version"


class ProgramError(Exception):
    """A program could not be built: one line that says what to do."""


@dataclass(frozen=True)
class Programs:
    """``folder`` holds kubelet, etcd and the others, all of one release of Kubernetes."""

    version: str
    folder: Path

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)


def ensure(version: str) -> Programs:
    """Return the programs, from the cache or built into it: minutes, and 2 GB of Go's own cache."""
    cache = cache_dir() / "kubernetes"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / version
    with locked(cache / "lock"):
        for stale in cache.glob(".build-*"):  # of a run that was killed: the lock is ours now
            shutil.rmtree(stale)
        if not place.exists():
            with tempfile.TemporaryDirectory(prefix=".build-", dir=cache) as name:
                _build(version, Path(name))
                (Path(name) / "bin").rename(place)
    return Programs(version, place)


def _build(version: str, folder: Path) -> None:
    print(f"building Kubernetes {version}: minutes", flush=True)
    module = json.loads(_go("mod", "download", "-json", f"k8s.io/kubernetes@v{version}"))
    _, minor, patch = version.split(".")
    text = (Path(module["Dir"]) / "go.mod").read_text()
    go_mod = folder / "go.mod"
    go_mod.write_text(STAGED.sub(rf"\1 => \1 v0.{minor}.{patch}", text))
    flags = {"gitVersion": f"v{version}", "gitMajor": "1", "gitMinor": minor}
    values = "".join(f" -X {VERSION}.{name}={value}" for name, value in flags.items())
    build = ["build", "-trimpath", "-buildvcs=false", "-modfile", str(go_mod)]
    build += ["-ldflags", f"-s -w{values}", "-o"]
    out = folder / "bin"
    out.mkdir()
    _go(*build, f"{out}/", *(f"./cmd/{name}" for name in COMMANDS), folder=module["Dir"])
    _go(*build, str(out / "etcd"), ETCD, folder=module["Dir"])


def _go(*arguments: str, folder: str = "/") -> str:
    """Run go apart from any workspace; a module's go.sum is made beside the go.mod that it has."""
    if shutil.which("go") is None:
        raise ProgramError("build Kubernetes: no go here: install Go 1.21 or newer")
    environ = {**os.environ, "GOWORK": "off", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    command = ["go", *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if not line.startswith("go: downloading")]
        raise ProgramError(f"go {arguments[0]}: {'; '.join(said[-3:])}")
    return done.stdout
