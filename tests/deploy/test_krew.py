# SPDX-License-Identifier: Apache-2.0
"""What Krew is told of the plugin, and what the plugin says where its libraries do not fit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
KREW = ROOT / "deploy" / "krew"
SHORT = 50  # characters, https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/


def test_the_manifest_is_as_krew_takes_it() -> None:
    text = (KREW / "oomkill.yaml").read_text(encoding="utf-8")
    manifest = yaml.safe_load(text)
    assert manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert (manifest["kind"], manifest["metadata"]) == ("Plugin", {"name": "oomkill"})
    spec = manifest["spec"]
    assert len(spec["shortDescription"]) <= SHORT
    assert not spec["shortDescription"].endswith(".")
    for platform in spec["platforms"]:
        arch = platform["selector"]["matchLabels"]["arch"]
        assert platform["uri"] == f"<URL>/kubectl-oomkill-<VERSION>-linux-{arch}.tar.gz"
        assert platform["sha256"] == f"<SHA256-{arch}>"
        assert (KREW / platform["bin"]).stat().st_mode & 0o111
    script = (ROOT / "tools" / "krew.sh").read_text(encoding="utf-8")
    assert set(re.findall(r"<[A-Z]+[^>]*>", text)) == {
        "<VERSION>", "<URL>", "<HOMEPAGE>", "<SHA256-amd64>", "<SHA256-arm64>",
    }  # fmt: skip
    for each in ("<VERSION>", "<URL>", "<HOMEPAGE>", "<SHA256-$each>"):
        assert each in script


def test_a_python_without_its_libraries_is_one_line_and_three(tmp_path: Path) -> None:
    """Through Krew's link, as it is called; whatever the current folder has."""
    (tmp_path / "store").mkdir()
    for name in ("kubectl-oomkill", "main.py"):
        shutil.copy(KREW / name, tmp_path / "store")
    (tmp_path / "kubectl-oomkill").symlink_to("store/kubectl-oomkill")
    (tmp_path / "container_oomkill.py").write_text("raise SystemExit('not ours')")
    done = subprocess.run(
        [str(tmp_path / "kubectl-oomkill")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert done.stderr.startswith("kubectl oomkill: needs Python 3.11 to 3.14, python3 is 3.")
