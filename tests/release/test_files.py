# SPDX-License-Identifier: Apache-2.0
"""What is in dist/ after `make release`, and that it is the same made again elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from ..support.release import VERSION, make

GLIBC = (2, 28)  # RHEL 8 and later, Ubuntu 20.04 and later
MACHINES = {"x86_64": "Advanced Micro Devices X86-64", "aarch64": "AArch64"}
WHEEL = "container_oomkill-{}-cp311-abi3-manylinux_2_28_{}.whl"
# What Debian's root of a Python has, and manylinux allows.
SYSTEM = re.compile(r"libc\.so\.6|libpthread\.so\.0|libz\.so\.1|ld-linux-.*")


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def unpacked(release: Path, machine: str, tmp_path: Path) -> Path:
    with zipfile.ZipFile(release / WHEEL.format(VERSION, machine)) as wheel:
        wheel.extractall(tmp_path)
    return tmp_path


def test_all_that_is_promised(release: Path) -> None:
    assert {path.name for path in release.iterdir()} == {
        *(WHEEL.format(VERSION, each) for each in MACHINES),
        *(f"container-oomkill_{VERSION}_{each}.deb" for each in ("amd64", "arm64")),
        *(f"container-oomkill-{VERSION}-1.{each}.rpm" for each in MACHINES),
        f"container_oomkill-{VERSION}.tar.gz",
        f"container-oomkill-manifests-{VERSION}.tar.gz",
        "container-oomkill-0.1.0-rc1.tgz",
        "wheel.cdx.json",
        "CHANGES.md",
        "SHA256SUMS",
    }
    assert "### Added" in (release / "CHANGES.md").read_text()
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=release, check=True)


def test_the_same_bytes_again(release: Path, tmp_path: Path) -> None:
    """From another clone, in another folder."""
    again = make(tmp_path / "another" / "clone", release.parent)
    assert (again / "SHA256SUMS").read_text() == (release / "SHA256SUMS").read_text()


def test_wheels_are_for_every_glibc_from_2_28_on(unpacked: Path, machine: str) -> None:
    """By their symbols, whatever their names say; and for their machine."""
    files = [*unpacked.rglob("*.so"), *unpacked.glob("container_oomkill.libs/*")]
    assert len(files) == 9
    own = {path.name for path in files}
    for path in files:
        header = output("readelf", "-hdV", "-W", path)
        assert re.search(rf"Machine: +{re.escape(MACHINES[machine])}\n", header)
        versions = {
            tuple(map(int, each.split("."))) for each in re.findall(r"GLIBC_([\d.]+)", header)
        }
        assert max(versions, default=GLIBC) <= GLIBC, path
        needed = set(re.findall(r"\(NEEDED\) +Shared library: \[(.*)\]", header))
        assert all(SYSTEM.fullmatch(each) for each in needed - own), needed


def test_what_is_inside_is_in_the_sbom(unpacked: Path, release: Path) -> None:
    [file] = unpacked.glob("*.dist-info/sboms/*")
    sbom = json.loads(file.read_text())
    assert sbom == json.loads((release / "wheel.cdx.json").read_text())
    of = {"libelf": "elfutils", "libcrypt": "libxcrypt"}
    libraries = [each.name.split("-")[0] for each in unpacked.glob("container_oomkill.libs/*")]
    assert sorted(of.get(each, each) for each in libraries) == [
        each["name"] for each in sbom["components"]
    ]
    [record] = unpacked.glob("*.dist-info/RECORD")
    assert f"{file.relative_to(unpacked)},sha256=" in record.read_text()


def test_nothing_tells_where_it_was_built(unpacked: Path, release: Path) -> None:
    places = (str(release.parent).encode(), str(Path.home()).encode() + b"/")
    for path in unpacked.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(each in content for each in places), path


def test_the_packages_want_that_glibc(release: Path) -> None:
    for arch in ("amd64", "arm64"):
        deb = release / f"container-oomkill_{VERSION}_{arch}.deb"
        assert output("dpkg-deb", "-f", deb, "Architecture").strip() == arch
        assert "libc6 (>= 2.28)" in output("dpkg-deb", "-f", deb, "Depends")


def test_the_manifests_are_whole(release: Path, tmp_path: Path) -> None:
    with tarfile.open(release / f"container-oomkill-manifests-{VERSION}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / f"container-oomkill-manifests-{VERSION}" / "kubernetes"
    images = yaml.safe_load((folder / "components/images/kustomization.yaml").read_text())["images"]
    assert {each["newTag"] for each in images} == {VERSION}
    assert (folder.parent / "grafana/kustomization.yaml").exists()
