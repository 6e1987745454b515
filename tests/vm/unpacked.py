# SPDX-License-Identifier: Apache-2.0
"""Debian packages unpacked below a folder of the cache, with all they depend on, not installed.

The folder has the programs' own loader and C library, so it does not matter which release this
machine is of.
"""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.vm.apt import Apt
from tests.vm.errors import PackageError

# Since bookworm these are links into /usr, which no package brings.
_LINKS = ("bin", "lib", "lib64", "sbin")
_START = """#!/bin/sh
root=${{0%/*}}
libraries=$root/{libraries}
{before}exec "$libraries/{loader}" --library-path "$libraries" "$root/{program}"{arguments} "$@"
"""


def unpack(apt: Apt, packages: Sequence[str], root: Path) -> None:
    """Fetch `packages` and what they depend on, checked, and unpack all of it into `root`."""
    for name in _LINKS:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for deb in apt.download_with_dependencies(packages):
        _unpack_one(deb, root)
        deb.unlink()


def _unpack_one(deb: Path, root: Path) -> None:
    # dpkg-deb's own -x would put folders in the place of the links.
    tar = ["tar", "-x", "--keep-directory-symlink", "-C", str(root)]
    read = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with subprocess.Popen(read, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as package:
        done = subprocess.run(tar, stdin=package.stdout, stderr=subprocess.PIPE, check=False)
        assert package.stdout is not None
        assert package.stderr is not None
        package.stdout.close()  # where tar gave up, dpkg-deb is not to wait for it
        words = done.stderr + package.stderr.read()
    if done.returncode or package.returncode:
        raise PackageError(f"unpack {deb.name}: {words.decode(errors='replace').strip()}")


def starter(
    root: Path, program: str, *, before: Iterable[str] = (), arguments: Iterable[str] = ()
) -> Path:
    """Write a script beside `root`'s folders that starts `program` of it; return the script's path.

    `before` are lines of shell; `arguments` come first. Both may use $root and $libraries.
    """
    [loader] = (root / "usr/lib").glob("*-linux-gnu/ld-linux-*.so.*")
    script = root / Path(program).name
    script.write_text(
        _START.format(
            libraries=loader.parent.relative_to(root),
            loader=loader.name,
            program=program,
            before="".join(f"{line}\n" for line in before),
            arguments="".join(f" {word}" for word in arguments),
        ),
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script
