# SPDX-License-Identifier: Apache-2.0
"""The .deb and the .rpm: what is in them, and a real kill recorded by what they install.

As root: `make test-packages` builds them first. Their roots are Debian's oldest and newest release
that has a Python we run on; rpm installs into one of these.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from container_oomkill.cli.man_pages import pages

from ..support.installed import NAME, assert_serves_pages, record_a_kill
from ..support.kernel.cgroups import Cgroup
from ..support.kernel.processes import Hog
from ..support.packages import Root, fresh_root

REPOSITORY = Path(__file__).parents[2]
DIST = REPOSITORY / "dist"
SUITES = ("bookworm", "trixie")
UNIT = f"/usr/lib/systemd/system/{NAME}.service"


def one(pattern: str) -> Path:
    found = list(DIST.glob(pattern))
    assert len(found) == 1, f"{pattern} in dist/: {found}: make packages"
    return found[0]


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def deb() -> Path:
    return one("*.deb")


@pytest.fixture(scope="module")
def rpm() -> Path:
    return one("*.rpm")


@pytest.fixture(scope="module")
def unpacked(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module", params=SUITES)
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Root:
    return fresh_root(request.param, tmp_path_factory.mktemp(request.param) / "root")


@pytest.fixture
def cgroup(make_cgroups: Callable[..., list[Cgroup]]) -> Cgroup:
    [made] = make_cgroups("/oomkill-package")
    made.limit(32)
    return made


class TestContents:
    def test_a_candidate_comes_before_its_release(self, deb: Path, rpm: Path) -> None:
        """Their names have Python's version, and they themselves have one that sorts as it does."""
        version = one("*.whl").name.split("-")[1]
        assert deb.name.startswith(f"{NAME}_{version}_")
        assert rpm.name.startswith(f"{NAME}-{version}-1.")
        own = output("dpkg-deb", "-f", deb, "Version").strip()
        assert own == re.sub("(a|b|rc)", r"~\1", version)
        compare = ["dpkg", "--compare-versions", own, "le", re.split("[abr]", version)[0]]
        assert subprocess.run(compare, check=False).returncode == 0

    def test_it_needs_what_is_compiled_for_one_python(self, deb: Path) -> None:
        needed = output("dpkg-deb", "-f", deb, "Depends").strip().split(", ")
        [glibc] = re.findall(r"manylinux_(\d+)_(\d+)", one("*.whl").name)
        assert needed == [
            "python3 (>= 3.11)",
            "python3-cffi-backend (>= 1.15)",
            "python3-markupsafe (>= 2.1)",
            f"libc6 (>= {'.'.join(glibc)})",
            "zlib1g",
        ]

    def test_every_extension_in_it_serves_every_python(self, unpacked: Path) -> None:
        modules = unpacked / "usr/lib" / NAME
        libraries = {*modules.glob("container_oomkill.libs/*")}
        extensions = {*modules.rglob("*.so*")} - libraries
        assert len(extensions) == 5
        assert all(each.name.endswith(".abi3.so") for each in extensions)
        assert len(libraries) == 4
        assert not [*modules.rglob("*.pyc")]

    def test_what_the_extensions_load_is_in_it_or_depended_on(self, unpacked: Path) -> None:
        modules = unpacked / "usr/lib" / NAME
        files = [*modules.rglob("*.abi3.so"), *modules.glob("container_oomkill.libs/*")]
        own = {each.name for each in files}
        needed = set()
        for file in files:
            needed |= set(re.findall(r"NEEDED +(\S+)", output("objdump", "-p", file)))
        assert needed - own <= {"libc.so.6", "libz.so.1", "ld-linux-x86-64.so.2",
                                "ld-linux-aarch64.so.1"}  # fmt: skip

    def test_the_unit_starts_the_packages_program(self, unpacked: Path, tmp_path: Path) -> None:
        text = (unpacked / UNIT[1:]).read_text()
        assert f"ExecStart=/usr/bin/{NAME} exporter\n" in text
        assert "/usr/local" not in text
        assert "DynamicUser=yes" in text
        if shutil.which("systemd-analyze"):
            unit = tmp_path / f"{NAME}.service"
            unit.write_text(text.replace(f"/usr/bin/{NAME}", "/bin/true"))
            output("systemd-analyze", "verify", unit)

    def test_man_pages_and_licence(self, unpacked: Path) -> None:
        folder = unpacked / "usr/share/man/man1"
        assert {each.name for each in folder.iterdir()} == {f"{name}.gz" for name in pages("")}
        copyright_file = (unpacked / f"usr/share/doc/{NAME}/copyright").read_text()
        modules = unpacked / "usr/lib" / NAME
        for each in modules.iterdir():
            name = each.name.removesuffix(".py")
            if not re.search(r"\.dist-info$|^container_oomkill", name):
                assert f"  {name} " in copyright_file
        for library in modules.glob("container_oomkill.libs/*"):
            assert f"  {library.name.split('-')[0]} " in copyright_file

    def test_nothing_tells_where_it_was_built(self, unpacked: Path) -> None:
        place = str(REPOSITORY).encode()
        for file in unpacked.rglob("*"):
            assert not file.is_file() or place not in file.read_bytes(), file

    def test_the_same_bytes_again(self, deb: Path, rpm: Path) -> None:
        before = deb.read_bytes(), rpm.read_bytes()
        subprocess.run([REPOSITORY / "tools/packages.sh"], check=True, stdout=subprocess.DEVNULL)
        assert (one("*.deb").read_bytes(), one("*.rpm").read_bytes()) == before


def is_compiled(root: Root) -> bool:
    """Whether its script has run: the service's user could not write what Python compiles."""
    return any((root.folder / "usr/lib" / NAME / "container_oomkill").rglob("*.pyc"))


def test_the_deb_installed_records_a_kill_and_goes_again(
    root: Root, deb: Path, cgroup: Cgroup, hog: Callable[..., Hog]
) -> None:
    assert root.ours() == set()
    file = root.take(deb)
    root("dpkg", "-i", file)
    root("dpkg", "-i", file)  # an upgrade: the old one's scripts run as well
    (root.folder / file[1:]).unlink()
    assert root("dpkg", "--verify", NAME) == ""
    assert root(NAME, "--version").startswith(f"{NAME} ")
    assert is_compiled(root)
    for folder in [*(root.folder / "usr/lib" / NAME).rglob("__pycache__")]:
        shutil.rmtree(folder)
    root("dpkg-trigger", "--by-package=python3-minimal", "/usr/bin/python3")  # another Python
    root("dpkg", "--configure", "-a")
    assert is_compiled(root)

    doctor = json.loads(root(NAME, "doctor", "-o", "json"))
    assert doctor["can_attach"] is True
    record = record_a_kill(root, cgroup, hog)
    assert [each["command"] for each in record["victims"]] == ["hog"]
    assert record["domain"]["cgroup"] == cgroup.path

    assert_serves_pages(root)

    config = root.folder / "etc/default" / NAME
    config.write_text("CONTAINER_OOMKILL_LOG_LEVEL=warn\n")
    root("dpkg", "-r", NAME)
    left = {path for path in root.ours() if not path.startswith("/var/lib/dpkg")}
    assert left == {f"/etc/default/{NAME}"}
    assert "LOG_LEVEL" in config.read_text()
    root("dpkg", "-P", NAME)
    assert root.ours() == set()


def test_the_rpm_installed_records_a_kill_and_goes_again(
    root: Root, rpm: Path, unpacked: Path, cgroup: Cgroup, hog: Callable[..., Hog]
) -> None:
    file = root.take(rpm)
    needed = set(root("rpm", "-qp", "--requires", file).splitlines())
    assert {"python3 >= 3.11", "python3-cffi >= 1.15", "python3-markupsafe >= 2.1"} <= needed
    listed = set(root("rpm", "-qpl", file).splitlines())
    files = {f"/{path.relative_to(unpacked)}" for path in unpacked.rglob("*") if path.is_file()}
    assert files <= listed

    # Its dependencies are there, but not in rpm's database.
    root("rpm", "-i", "--nodeps", file)
    assert is_compiled(root)
    (root.folder / file[1:]).unlink()
    assert record_a_kill(root, cgroup, hog)["domain"]["cgroup"] == cgroup.path
    assert_serves_pages(root)
    root("rpm", "-e", NAME)
    assert root.ours() == set()
