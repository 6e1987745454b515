# SPDX-License-Identifier: Apache-2.0
"""Finds the two base addresses of this machine's Debian mirror in /etc/apt.

No address is written down here: the mirror is whichever one this machine's own packages come
from. Where those are not Debian's, the two variables below name one.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tests.vm.errors import PackageError

ARCHIVE_VARIABLE = "OOMKILL_TEST_DEBIAN_MIRROR"
SECURITY_VARIABLE = "OOMKILL_TEST_DEBIAN_SECURITY_MIRROR"
_RELEASES = (
    "bullseye", "bookworm", "trixie", "forky", "duke", "sid",
    "oldoldstable", "oldstable", "stable", "testing", "unstable",
)  # fmt: skip
_CLASSIC = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>.+)")


@dataclass(frozen=True)
class Mirror:
    """Base addresses of the main and of the security archive, without a slash at the end.

    Most want the main one alone, which is all that a root of debootstrap names.
    """

    archive: str
    security: str | None

    def base(self, suite: str) -> str:
        """The address a suite is found under; raises PackageError where that is not known."""
        if not suite.endswith("-security"):
            return self.archive
        return self.security or _missing("security", SECURITY_VARIABLE)


def find(etc: Path = Path("/etc/apt"), environ: Mapping[str, str] = os.environ) -> Mirror:
    """The mirror apt uses already; raises PackageError where there is none."""
    archive, security = environ.get(ARCHIVE_VARIABLE), environ.get(SECURITY_VARIABLE)
    for uri, suite in _sources(etc):
        name, _, pocket = suite.partition("/" if "/" in suite else "-")
        if name not in _RELEASES:
            continue
        if pocket in ("security", "updates") and suite != f"{name}-updates":
            security = security or uri
        elif pocket in ("", "updates", "backports"):
            archive = archive or uri
    archive = archive or _missing("main", ARCHIVE_VARIABLE)
    return Mirror(archive.rstrip("/"), security.rstrip("/") if security else None)


def _missing(what: str, variable: str) -> NoReturn:
    raise PackageError(
        f"find Debian's {what} archive: apt's sources do not name one; "
        f"set {variable} to its base address"
    )


def _sources(etc: Path) -> Iterator[tuple[str, str]]:
    """(address, suite) of every enabled binary source that has the component "main"."""
    parts = etc / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        for paragraph in re.split(r"\n\s*\n", _uncommented(path)):
            yield from _deb822(paragraph)
    for path in (etc / "sources.list", *sorted(parts.glob("*.list"))):
        if not path.is_file():
            continue
        for line in _uncommented(path).splitlines():
            match = _CLASSIC.fullmatch(line.strip())
            if match and "main" in match["parts"].split():
                yield match["uri"], match["suite"]


def _uncommented(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _deb822(paragraph: str) -> Iterator[tuple[str, str]]:
    joined = re.sub(r"\n[ \t]+", " ", paragraph)
    fields = {
        key.strip().lower(): value.split()
        for key, _, value in (line.partition(":") for line in joined.splitlines())
    }
    if fields.get("enabled") == ["no"] or "deb" not in fields.get("types", []):
        return
    if "main" not in fields.get("components", []):
        return
    for uri in fields.get("uris", []):
        for suite in fields.get("suites", []):
            yield uri, suite


if __name__ == "__main__":  # for tools/wheel/sources.sh
    try:
        print(find().archive)
    except PackageError as error:
        sys.exit(f"{error}, or APT_MIRROR")
