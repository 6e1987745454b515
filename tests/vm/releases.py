# SPDX-License-Identifier: Apache-2.0
"""The wheel with every libbpf and every Python that it is for: built, attached, tested.

    python -m tests.vm.releases              # `make test-releases`
    python -m tests.vm.releases bookworm 3.12

A Debian release gives its libbpf, C library and Python: object and wheel are built with them, in a
root of the cache; there a kill on this machine's kernel is recorded, and the unit tests run. A
Python that no release has is this machine's, if it has one, with the oldest release's wheel, as
a user would. Needs root. Status 1 if something fails; what cannot be had is named with the reason.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm import mirror, userland
from tests.vm.apt import Apt, run
from tests.vm.errors import PackageError, VmError
from tests.vm.packages import cache_dir, digest, locked
from tests.vm.table import NATIVE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Release:
    """A Debian release: where its packages are, and the version of its Python."""

    name: str
    suites: tuple[str, ...]
    python: str


# With the oldest libbpf and the newest; the first one's wheel runs on every later C library.
RELEASES = (
    Release("bookworm", ("bookworm", "bookworm-updates", "bookworm-security"), "3.11"),
    Release("trixie", ("trixie", "trixie-updates", "trixie-security"), "3.13"),
    Release("sid", ("sid",), "3.14"),
)
PYTHONS = ("3.12",)  # between two releases
_PACKAGES = (
    "base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "file",
    "findutils", "grep", "hostname", "iproute2", "libc-bin", "mount", "openssl", "passwd", "procps",
    "sed", "tar", "tzdata", "util-linux",
    "binutils", "gcc", "libbpf-dev", "libc6-dev", "libcrypt-dev", "libseccomp-dev",
    "python3", "python3-dev",
)  # fmt: skip
# Of the developer's packages: what checks sources, runs guests or browsers, or is a program.
_NOT_FOR_UNITS = re.compile(
    r"axe-playwright|container-oomkill|hadolint|mypy|playwright|ruff|types-|virtme"
)
# Without deploy: what other programs make of our YAML is the same with every Python.
# Hypothesis's profile for CI judges no test by how long it took.
_UNITS = (
    "tests", "--ignore=tests/kernel", "--ignore=tests/runtimes", "--ignore=tests/images",
    "--ignore=tests/browser", "--ignore=tests/chaos", "--ignore=tests/deploy",
    "--ignore=tests/packages", "--ignore=tests/release", "--hypothesis-profile=ci",
)  # fmt: skip
_VERSIONS = """
import container_oomkill, platform
from container_oomkill import libbpf
print(platform.python_version(), libbpf.version(), container_oomkill.__file__)
"""


class ReleaseError(Exception):
    """Something that is there does not pass; the message is its output."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status described above."""
    choices = [*(release.name for release in RELEASES), *PYTHONS]
    parser = argparse.ArgumentParser(prog="python -m tests.vm.releases")
    parser.add_argument("which", nargs="*", choices=[*choices, []], help="default: all")
    chosen = parser.parse_args(argv).which or choices
    missing, failed = [], False
    for name in chosen:
        try:
            print(_of_release(name) if name in choices[: len(RELEASES)] else _of_python(name))
        except ReleaseError as error:
            print(f"{name}: FAILED: {error}", file=sys.stderr)
            failed = True
        except VmError as error:
            missing.append(f"{name}: not to be had here: {error}")
    for each in missing:
        print(each)
    return 1 if failed or len(missing) == len(chosen) else 0


def _of_release(name: str) -> str:
    """One line of what was seen."""
    root = ensure(name)
    command = userland.inside(root, platform.machine())
    environ = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    python = [*command, "/usr/bin/env", f"--chdir={ROOT}", userland.PYTHON]
    versions = _run([*python, "-c", _VERSIONS], environ).split()
    environ["OOMKILL_TEST_HOG"] = "/hog"
    killed = _pytest(python, environ, "tests/kernel/test_kills.py", "-k", "own_limit")
    units = _pytest(python, environ, *_UNITS)
    return _line(name, versions, units, f"a kill recorded here: {killed}; ")


def _of_python(version: str) -> str:
    """One line of what was seen."""
    [oldest, *_] = RELEASES
    wheel = next((ensure(oldest.name) / "wheel").glob("*.whl"))
    found = _interpreter(version)
    with tempfile.TemporaryDirectory() as name:
        run([found, "-m", "venv", name], f"make a virtual environment of {found}")
        python = f"{name}/bin/python"
        pip = [python, "-m", "pip", "install", "-q", str(wheel), *_wheels()]
        run(pip, f"install the wheel for {found}")
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        versions = _run([python, "-c", _VERSIONS], environ).split()
        return _line(version, versions, _pytest([python], environ, *_UNITS))


def _interpreter(version: str) -> str:
    """A Python of this machine: one of pyenv's, or on the PATH."""
    pyenvs = sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
    for found in (*pyenvs, shutil.which(f"python{version}")):
        # pyenv's own python3.x on the PATH may be a script that only says what there is.
        if (
            found
            and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            return found
    raise PackageError(f"no python{version} among pyenv's or on the PATH")


def ensure(name: str) -> Path:
    """A release's root with the wheel of the sources as they are now."""
    [release] = (release for release in RELEASES if release.name == name)
    machine = platform.machine()
    cache = cache_dir() / "releases"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{name}-{digest(release, _PACKAGES, _wheels())}"
    with locked(cache / "lock"):
        if not root.exists():
            for stale in cache.glob(f"*{name}-*"):  # of other packages, or of a run that was killed
                shutil.rmtree(stale)
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache) as scratch:
                folder = Path(scratch)
                apt = Apt(folder / "apt", mirror.find(), release.suites, NATIVE)
                apt.update()
                print(f"unpack {name}: {len(_PACKAGES)} packages and what they need", flush=True)
                userland.unpack(apt, _PACKAGES, folder / "root")
                userland.install(folder / "root", machine, release.python, _wheels())
                (folder / "root").rename(root)
        userland.build(root, machine, release.python)
    return root


def _wheels() -> list[str]:
    """What the package, its extras and the unit tests need, as pyproject.toml has it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    groups = (project["project"]["dependencies"], project["build-system"]["requires"])
    extras = project["project"]["optional-dependencies"].values()
    ours = project["dependency-groups"].values()
    every = {need for group in (*groups, *extras, *ours) for need in group} | {"pip", "wheel"}
    return sorted(need for need in every if not _NOT_FOR_UNITS.match(need))


def _pytest(python: Sequence[str], environ: Mapping[str, str], *arguments: str) -> str:
    """Pytest's last line without its ornaments, and behind it why tests were left out."""
    command = [*python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *arguments]
    said = _run(command, environ).strip().splitlines()
    left_out = [f"\n    {line}" for line in said if line.startswith("SKIPPED")]
    return said[-1].strip("= ") + "".join(left_out)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environ, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _line(name: str, versions: Sequence[str], units: str, kill: str = "") -> str:
    python, libbpf, where = versions
    if where.startswith(str(ROOT)):
        raise ReleaseError(f"it is not the wheel that was tested, but {where}")
    return f"{name}: Python {python}, libbpf {libbpf}: {kill}units: {units}"


if __name__ == "__main__":
    sys.exit(main())
