# SPDX-License-Identifier: Apache-2.0
"""The chart as an OCI artifact: pushed to a registry of the test's own, pulled back by helm."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import yaml

from ..support.images.registry import ask, registry
from ..support.manifests import OLDEST, container, objects, run, tool
from ..support.release import REPOSITORY, VERSION

CHART_VERSION = "0.1.0-rc1"  # of charts, versions are semantic ones


def test_pushed_pulled_installed(release: Path, tmp_path: Path) -> None:
    [chart] = release.glob("container-oomkill-*.tgz")
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as address:
        environ = {"REGISTRY": f"{address}/people", "DIST": str(release), **os.environ}
        environ["HELM_OPTIONS"] = "--plain-http"
        pushed = subprocess.run(
            [REPOSITORY / "tools/push-chart.sh"],
            env=environ,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        assert re.search("^Digest: sha256:[0-9a-f]{64}$", pushed, re.MULTILINE)  # for release.yml

        name = "people/charts/container-oomkill"
        assert ask(address, f"{name}/tags/list")["tags"] == [CHART_VERSION]
        reference = f"oci://{address}/{name}"
        options = ("--plain-http", "--version", CHART_VERSION)
        done = run(tool("helm"), "pull", reference, *options, "-d", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / chart.name).read_bytes() == chart.read_bytes()

        done = run(tool("helm"), "show", "chart", reference, *options)
        annotations = yaml.safe_load(done.stdout)["annotations"]
        assert annotations["artifacthub.io/prerelease"] == "true"
        assert yaml.safe_load(annotations["artifacthub.io/changes"])

        command = (tool("helm"), "template", "x", reference, *options, "--kube-version", OLDEST)
        done = run(*command)
        assert done.returncode == 0, done.stderr
        image = container(objects(done.stdout))["image"]
        assert image == f"container-oomkill-exporter:{VERSION}"
