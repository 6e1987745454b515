# SPDX-License-Identifier: Apache-2.0
"""The wheels and packages where they are for: on an older C library, and on arm64, emulated."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.installed import NAME, assert_serves_pages, record_a_kill
from ..support.kernel.cgroups import Cgroup
from ..support.kernel.processes import Hog
from ..support.packages import Root, fresh_root
from ..support.release import PYTHON, TOOLS, VERSION, index, newer_python, other_root
from ..vm import guest, packages, table, userland

OLD = "bullseye"  # glibc 2.31; older ones are no longer to be had
OTHER = next(name for machine, name in table.ARCHES.items() if machine != platform.machine())
OTHER_MACHINE = {name: machine for machine, name in table.ARCHES.items()}[OTHER]
KERNEL = "6.12"
SECONDS = 1500


@pytest.fixture
def cgroup(make_cgroups: Callable[..., list[Cgroup]]) -> Cgroup:
    [made] = make_cgroups("/oomkill-release")
    made.limit(32)
    return made


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Root:
    folder = tmp_path_factory.mktemp(OLD) / "root"
    return fresh_root(OLD, folder, *TOOLS, prepare=newer_python)


@pytest.fixture(scope="module")
def other(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root of the other architecture, and in it what its .deb brings; its script has run."""
    folder = tmp_path_factory.mktemp(OTHER)
    root = Root(folder / "root")
    subprocess.run(["cp", "-a", str(other_root(OTHER)), str(root.folder)], check=True)
    deb = release / f"{NAME}_{VERSION}_{OTHER}.deb"
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as read:
        unpack = ["tar", "-x", "--keep-directory-symlink", "-C", str(root.folder)]
        subprocess.run(unpack, stdin=read.stdout, check=True)
    assert read.returncode == 0
    subprocess.run(["dpkg-deb", "--control", deb, folder / "control"], check=True)
    userland.register_emulation()
    root("/bin/sh", root.take(folder / "control/postinst"), "configure")
    return root


def needed(wheel: Path, folder: Path, python: str) -> list[Path]:
    """It, and what pip would fetch for it with that version of Python."""
    folder.mkdir()
    platforms = [f"manylinux{each}_{platform.machine()}" for each in ("_2_28", "_2_17", "2014")]
    pip = [sys.executable, "-m", "pip", "download", "-q", "-d", str(folder), "--only-binary=:all:"]
    options = [f"--python-version={python}", *(f"--platform={each}" for each in platforms)]
    subprocess.run([*pip, *options, str(wheel)], check=True)
    return sorted(folder.glob("*.whl"))


def test_from_an_index_into_a_virtual_environment(
    release: Path, cgroup: Cgroup, hog: Callable[..., Hog], tmp_path: Path
) -> None:
    """On this machine, by its name, as anyone would."""
    [wheel] = release.glob(f"*_{platform.machine()}.whl")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    with index(tmp_path / "index", *needed(wheel, tmp_path / "downloaded", version)) as address:
        pip = [str(python), "-m", "pip", "install", "-q", "--index-url", address]
        subprocess.run([*pip, f"{NAME}=={VERSION}"], check=True)
    here, program = Root(Path("/")), str(python.parent / NAME)
    assert here(program, "--version").startswith(f"{NAME} {VERSION}")
    assert record_a_kill(here, cgroup, hog, program)["domain"]["cgroup"] == cgroup.path
    assert_serves_pages(here, program)


def test_from_an_index_on_an_older_c_library(
    release: Path, old: Root, cgroup: Cgroup, hog: Callable[..., Hog], tmp_path: Path
) -> None:
    """By its name, as anyone would; a real kill, and pages."""
    [wheel] = release.glob(f"*_{platform.machine()}.whl")
    assert old("ldd", "--version").splitlines()[0].endswith(" 2.31")
    with index(tmp_path / "index", *needed(wheel, tmp_path / "downloaded", "3.13")) as address:
        pip = (PYTHON, "-m", "pip", "install", "-q", "--root-user-action=ignore")
        old(*pip, "--index-url", address, f"{NAME}=={VERSION}")
    program = str(Path(PYTHON).parent / NAME)
    assert old(program, "--version").startswith(f"{NAME} {VERSION}")
    record = record_a_kill(old, cgroup, hog, program)
    assert [each["command"] for each in record["victims"]] == ["hog"]
    assert record["domain"]["cgroup"] == cgroup.path
    assert_serves_pages(old, program)


def test_the_other_architecture_emulated(other: Root) -> None:
    """Its libraries load, and what needs no kernel works; an emulated process has no BPF."""
    assert other("uname", "-m").strip() == OTHER_MACHINE
    assert other(NAME, "--version").startswith(f"{NAME} {VERSION}")
    recording = other(NAME, "demo", "-o", "json").splitlines()
    assert len(recording) == 27
    doctor = json.loads(other(NAME, "doctor", "-o", "json", status=3))
    assert doctor["can_attach"] is False


def test_the_other_architecture_in_a_guest(other: Root, tmp_path: Path) -> None:
    """On a kernel of its own: the exporter attaches and serves a real kill."""
    hog = other.folder / "hog"
    source = userland.REPOSITORY / "tests/support/kernel/hog.c"
    libraries = [str(userland.REPOSITORY / "tools/wheel/libraries.sh"), OTHER_MACHINE]
    made = subprocess.run(libraries, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    subprocess.run([f"{made}/bin/cc", "-pthread", source, "-o", hog], check=True)
    (kernel,) = packages.ensure(table.choose(KERNEL, OTHER))
    command = ["/usr/bin/python3", "-m", "tests.support.images.serving", "/", "/hog"]
    ended = guest.run(
        kernel,
        command,
        share=tmp_path,
        timeout=SECONDS,
        userland=userland.Userland(other.folder, "/usr/bin/python3", "/hog"),
        environ={"PYTHONPATH": f"/usr/lib/{NAME}"},
    )
    assert ended.returncode == 0, ended.output
    print(ended.output)
    served = json.loads(ended.output.splitlines()[-1])
    assert served["hook"] == "fentry"
    assert served["kills"] == 1
    assert served["limit_bytes"] == served["asked_limit_bytes"]
    assert served["victim"] == served["killed"]
