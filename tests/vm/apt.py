# SPDX-License-Identifier: Apache-2.0
"""Downloads and verifies .deb files of given suites without touching the machine's apt.

A private state folder with its own sources: nothing of the machine's package lists changes, and
signatures are checked against Debian's archive keys alone. Proxies and logins of the machine's
apt configuration stay in force.
"""

import functools
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm.errors import PackageError
from tests.vm.mirror import Mirror

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# 7.x kernels: an empty image package that depends on the real ones, of its very version.
_PART = re.compile(r"\b(linux-(?:base|binary|modules)-\d\S*) \(= ")


@dataclass(frozen=True)
class Package:
    """One version of a binary package, as the archive describes it."""

    name: str
    version: str
    depends: str


class Apt:
    """An apt of our own below `folder`; `update()` first, then `newest()` and `download()`."""

    def __init__(self, folder: Path, mirror: Mirror, suites: Sequence[str], arch: str) -> None:
        if not KEYRING.is_file():
            raise PackageError(
                f"read {KEYRING}: no such file; apt-get install debian-archive-keyring"
            )
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        (folder / "state/status").touch()
        sources = folder / "suites.sources"
        sources.write_text(
            "\n".join(
                f"Types: deb\nURIs: {mirror.base(suite)}\nSuites: {suite}\nComponents: main\n"
                f"Architectures: {arch}\nSigned-By: {KEYRING}\n"
                for suite in suites
            ),
            encoding="utf-8",
        )
        self._folder = folder
        self._options = [
            f"Dir::State={folder}/state",
            f"Dir::Cache={folder}/cache",
            # Empty: nothing counts as installed. apt-get locks beside it, which needs no root here.
            f"Dir::State::status={folder}/state/status",
            f"Dir::Etc::sourcelist={sources}",
            "Dir::Etc::sourceparts=/dev/null",
            "Dir::Etc::preferences=/dev/null",
            "Dir::Etc::preferencesparts=/dev/null",
            f"APT::Architecture={arch}",
            f"APT::Architectures={arch}",
            # The cache may lie in a home folder that apt's own user cannot enter.
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::Retries=3",
        ]

    def update(self) -> None:
        """Fetches the suites' signed lists."""
        # Any missing or unsigned suite is an error: half a list would pick an old kernel silently.
        self._run("apt-get", "update", "--quiet=2", "--error-on=any")

    def newest(self, pattern: str) -> Package:
        """The highest version among the packages whose whole name matches `pattern`."""
        names = [name for name in self._names() if re.fullmatch(pattern, name)]
        if not names:
            raise PackageError(f"find package {pattern}: no suite of this kernel has one")
        return max(self._show(*names), key=functools.cmp_to_key(_compare))

    def package(self, name: str) -> Package:
        """The one of this very name."""
        [found] = self._show(name)
        return found

    def parts(self, image: Package) -> list[Package]:
        """The packages of the same release which a split kernel's image package depends on.

        One that the archive no longer holds is left out: some hold nothing but documentation,
        and whether the rest is a whole kernel shows when it is unpacked.
        """
        known = set(self._names())
        names = [name for name in _PART.findall(image.depends) if name in known]
        return self._show(*names) if names else []

    def _names(self) -> list[str]:
        return sorted(self._run("apt-cache", "pkgnames", "linux-").split())

    def _show(self, *names: str) -> list[Package]:
        text = self._run("apt-cache", "show", "--no-all-versions", *names)
        return [_package(stanza) for stanza in text.strip().split("\n\n")]

    def download(self, packages: Sequence[Package]) -> list[Path]:
        """The .deb files, checked against the signed lists, in a folder of this apt's own."""
        folder = self._folder / "debs" / packages[0].name
        folder.mkdir(parents=True)
        wanted = [f"{package.name}={package.version}" for package in packages]
        self._run("apt-get", "download", "--quiet=2", *wanted, cwd=folder)
        debs = sorted(folder.glob("*.deb"))
        if len(debs) != len(packages):
            raise PackageError(f"download {' '.join(wanted)}: got {len(debs)} of {len(packages)}")
        return debs

    def download_with_dependencies(self, names: Sequence[str]) -> list[Path]:
        """The .deb files of these packages and of all they depend on, checked likewise."""
        self._run(
            "apt-get", "install", "--quiet=2", "--yes", "--download-only",
            "--no-install-recommends", *names,
        )  # fmt: skip
        return sorted((self._folder / "cache" / "archives").glob("*.deb"))

    def _run(self, tool: str, *args: str, cwd: Path | None = None) -> str:
        options = [word for option in self._options for word in ("-o", option)]
        return run([tool, *options, *args], f"{tool} {args[0]}", cwd)


def run(
    argv: Sequence[str],
    what: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """A tool's stdout; raises PackageError with `what` failed and the tool's own words."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PackageError(f"{what}: {error.filename} is not installed") from error
    if done.returncode:
        words = "; ".join(done.stderr.strip().splitlines()[-5:]) or f"status {done.returncode}"
        raise PackageError(f"{what}: {words}")
    return done.stdout


def _package(stanza: str) -> Package:
    fields = dict(re.findall(r"^(Package|Version|Depends): (.*)$", stanza, re.MULTILINE))
    return Package(fields["Package"], fields["Version"], fields.get("Depends", ""))


def _compare(left: Package, right: Package) -> int:
    if left.version == right.version:
        return 0
    argv = ["dpkg", "--compare-versions", left.version, "gt", right.version]
    return 1 if subprocess.run(argv, check=False).returncode == 0 else -1
