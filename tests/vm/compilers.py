# SPDX-License-Identifier: Apache-2.0
"""The compilers that the BPF object is held to: each builds it without a warning.

    python -m tests.vm.compilers     # `make lint`: every clang, every architecture

A clang is this machine's own where it has that version, else Debian's, unpacked in the cache.
Status 1 if one fails; one that cannot be had is named with the reason, and fails nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.vm import mirror, unpacked
from tests.vm.apt import Apt, run
from tests.vm.errors import PackageError, VmError
from tests.vm.packages import cache_dir, digest, locked
from tests.vm.table import ARCHES, NATIVE

ROOT = Path(__file__).parents[2]
# Oldest first: Debian 12's, what Debian 12 has besides, Debian 13's (the images'), the newest.
VERSIONS = (14, 16, 19, 22)
OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]
# One release that has them all.
SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
_TOOLS = ("clang", "llvm-strip")
_UNUSED = ("usr/bin", "usr/include", "usr/share", "usr/lib/gcc", "usr/lib/*/*.a")


@dataclass(frozen=True)
class Compiler:
    """A clang, and the llvm-strip of the same version."""

    clang: str
    strip: str

    def build(self, *arguments: str, machine: str | None = None) -> str:
        """What `build.py` prints; raises PackageError with the compiler's words."""
        environ = {**os.environ, "CLANG": self.clang, "LLVM_STRIP": self.strip}
        environ.pop("BPF_OBJECT", None)
        if machine:
            environ["BPF_MACHINE"] = machine
        command = [sys.executable, "build.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise PackageError(f"compile the BPF object by {self.clang}:\n{done.stderr.strip()}")
        return done.stdout

    @property
    def version(self) -> str:
        """As it says itself: 14.0.6."""
        said = run([self.clang, "--version"], f"{self.clang} --version")
        found = re.search(r"version (\d+\S*)", said)
        return found[1] if found else said.partition("\n")[0]


def ensure(version: int) -> Compiler:
    """This machine's, else Debian's; raises PackageError where neither is to be had."""
    folder = Path(f"/usr/lib/llvm-{version}/bin")
    if all((folder / tool).exists() for tool in _TOOLS):
        return Compiler(*(str(folder / tool) for tool in _TOOLS))
    cache = cache_dir() / "compilers"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"clang-{version}-{digest(SUITES, _TOOLS, _UNUSED)}"
    with locked(cache / "lock"):
        if not root.exists():
            for stale in cache.glob(f"*clang-{version}-*"):  # of a run that was killed, or older
                shutil.rmtree(stale)
            _fetch(version, root)
    return Compiler(*(str(root / tool) for tool in _TOOLS))


def _fetch(version: int, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as name:
        folder = Path(name)
        root = folder / "root"
        apt = Apt(folder / "apt", mirror.find(), SUITES, NATIVE)
        apt.update()
        print(f"fetch clang {version} of {SUITES[0]}", flush=True)
        unpacked.unpack(apt, [f"clang-{version}", f"llvm-{version}"], root)
        for pattern in _UNUSED:
            for path in root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for tool in _TOOLS:
            unpacked.starter(root, f"usr/lib/llvm-{version}/bin/{tool}")
        root.rename(place)


def build_object(folder: Path, version: int, arch: str = NATIVE) -> Path:
    """The object for an architecture, built by one clang; its path is `object_file`'s."""
    machine = next(machine for machine, name in ARCHES.items() if name == arch)
    file = object_file(folder, version)
    ensure(version).build("object", str(file), machine=machine)
    return file


def object_file(folder: Path, version: int) -> Path:
    """What the object of a clang is called in a folder of them."""
    return folder / f"clang{version}.bpf.o"


def _own() -> Compiler | None:
    """The one that `make build` takes, where it is of none of the versions above."""
    clang = os.environ.get("CLANG") or shutil.which("clang")
    strip = os.environ.get("LLVM_STRIP") or shutil.which("llvm-strip")
    if clang is None or strip is None:
        return None
    compiler = Compiler(clang, strip)
    return None if compiler.version.partition(".")[0] in map(str, VERSIONS) else compiler


def main() -> int:
    """The exit status described above."""
    own = _own()
    compilers, missing = [own] if own else [], []
    for version in VERSIONS:
        try:
            compilers.append(ensure(version))
        except VmError as error:
            missing.append(f"clang {version}: not to be had here: {error}")
    failed = not compilers
    for compiler in compilers:
        try:
            sizes = compiler.build("check").splitlines()
        except PackageError as error:
            failed = True
            print(error, file=sys.stderr)
        else:
            print(f"clang {compiler.version}: {', '.join(sizes)}")
    for each in missing:
        print(each)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
