# SPDX-License-Identifier: Apache-2.0
"""Unpacks the kernels of the table into the cache, ready to boot.

A cached kernel is used as it is, without network, until its row changes or a refresh is asked
for. Everything is prepared in a temporary folder and renamed into place at the end, so an
interrupted run leaves nothing half done.
"""

import fcntl
import hashlib
import json
import lzma
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.vm import mirror
from tests.vm.apt import Apt, Package, run
from tests.vm.errors import PackageError
from tests.vm.table import KernelSpec

_NOT_OF_PACKAGES = ("why", "in_quick", "refused")  # keys of a row
CACHE_VARIABLE = "OOMKILL_TEST_CACHE"


@dataclass(frozen=True)
class Kernel:
    """A kernel in the cache: `root` holds boot/vmlinuz-RELEASE and lib/modules/RELEASE."""

    name: str
    release: str
    root: Path
    packages: dict[str, str]
    arch: str = "amd64"
    refused: tuple[str, ...] = ()  # hooks that it does not have

    @property
    def image(self) -> Path:
        """The compressed kernel image."""
        return self.root / "boot" / f"vmlinuz-{self.release}"


def cache_dir() -> Path:
    """Where kernels are kept: $OOMKILL_TEST_CACHE or ~/.cache/container-oomkill."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).absolute() if named else Path.home() / ".cache" / "container-oomkill"


def ensure(
    specs: Sequence[KernelSpec], *, cache: Path | None = None, refresh: bool = False
) -> list[Kernel]:
    """Kernels for `specs` in the same order; fetches those the cache does not hold."""
    cache = cache_dir() if cache is None else cache
    kernels = cache / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    with locked(cache / "lock"):
        for arch in sorted({spec.arch for spec in specs}):
            rows = [spec for spec in specs if spec.arch == arch]
            missing = [row for row in rows if refresh or cached(row, cache=cache) is None]
            if missing:
                _fetch(missing, kernels, arch)
    found = [cached(spec, cache=cache) for spec in specs]
    return [kernel for kernel in found if kernel is not None]


def cached(spec: KernelSpec, *, cache: Path | None = None) -> Kernel | None:
    """The kernel of a row if the cache holds it, fetched for the row as it is written now."""
    root = (cache_dir() if cache is None else cache) / "kernels" / f"{spec.name}-{spec.arch}"
    try:
        record = json.loads((root / "kernel.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if record["row"] != _fingerprint(spec):
        return None
    return Kernel(spec.name, record["release"], root, record["packages"], spec.arch, spec.refused)


def _fetch(specs: Sequence[KernelSpec], kernels: Path, arch: str) -> None:
    suites = sorted({suite for spec in specs for suite in spec.suites})
    found = mirror.find()
    for stale in kernels.glob(".fetch-*"):  # of a run that was killed: the lock is ours now
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=kernels) as name:
        folder = Path(name)
        apt = Apt(folder / "apt", found, suites, arch)
        apt.update()
        for spec in specs:
            image = apt.newest(spec.package)
            packages = [image, *apt.parts(image)]
            print(f"fetch {spec.name}: {image.name} {image.version}", flush=True)
            debs = apt.download(packages)
            root = _unpack(debs, folder / spec.name, spec, packages)
            for deb in debs:
                deb.unlink()
            _publish(root, kernels / f"{spec.name}-{arch}", folder)


def _unpack(
    debs: Iterable[Path], folder: Path, spec: KernelSpec, packages: Sequence[Package]
) -> Path:
    full, root = folder / "full", folder / "root"
    (full / "usr" / "lib").mkdir(parents=True)
    (full / "lib").symlink_to("usr/lib")  # old packages ship /lib, new ones /usr/lib
    for deb in debs:
        part = folder / "part"
        run(["dpkg-deb", "-x", str(deb), str(part)], f"unpack {deb.name}")
        for tree in ("boot", "lib/modules", "usr/lib/modules"):
            if (part / tree).is_dir():
                shutil.copytree(part / tree, full / tree, dirs_exist_ok=True, copy_function=os.link)
        shutil.rmtree(part)
    releases = [path.name for path in (full / "lib" / "modules").iterdir()]
    if len(releases) != 1:
        raise PackageError(f"unpack {packages[0].name}: expected one kernel, got {releases}")
    release = releases[0]
    modules = full / "lib" / "modules" / release
    run(["depmod", "-b", str(full), release], f"depmod {release}")
    for what in ("vmlinuz", "config"):
        source = full / "boot" / f"{what}-{release}"
        source = source if source.exists() else modules / what
        if not source.exists():
            raise PackageError(f"unpack {packages[0].name}: it holds no {what}")
        target = root / "boot" / source.name.removesuffix(f"-{release}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target.with_name(f"{what}-{release}"))
    kept = root / "lib" / "modules" / release
    kept.mkdir(parents=True)
    for builtin in modules.glob("modules.builtin*"):
        if builtin.suffix != ".bin":
            shutil.copy2(builtin, kept)
    shutil.copy2(modules / "modules.order", kept)
    for module in _closure(modules, spec):
        _copy_module(modules / module, kept / module)
    run(["depmod", "-b", str(root), release], f"depmod {release}")
    record = {
        "row": _fingerprint(spec),
        "release": release,
        "packages": {package.name: package.version for package in packages},
    }
    (root / "kernel.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(full)
    return root


def _closure(modules: Path, spec: KernelSpec) -> Iterator[str]:
    """Paths of the table's modules and of all they need; raises if the kernel lacks one."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text(encoding="utf-8").splitlines():
        path, _, dependencies = line.partition(":")
        needs[path] = dependencies.split()  # depmod writes the whole chain, not one step
    by_name = {_name(path): path for path in needs}
    builtin = (modules / "modules.builtin").read_text(encoding="utf-8").splitlines()
    built_in = {_name(path) for path in builtin}
    seen: set[str] = set()
    for name in spec.modules:
        if name in by_name:
            seen.update([by_name[name], *needs[by_name[name]]])
        elif name not in built_in:
            raise PackageError(f"unpack kernel {spec.name}: it has no module {name}")
    yield from sorted(seen)


def _name(path: str) -> str:
    return Path(path).name.partition(".")[0].replace("-", "_")


def _copy_module(source: Path, target: Path) -> None:
    """Copies one module, uncompressed: the boot file system's insmod reads plain files only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".ko":
        shutil.copy2(source, target)
    elif source.suffix == ".xz":
        target.with_suffix("").write_bytes(lzma.decompress(source.read_bytes()))
    else:
        raise PackageError(f"unpack {source.name}: unknown compression {source.suffix}")


def _publish(root: Path, place: Path, trash: Path) -> None:
    if place.exists():
        place.rename(trash / f"old-{place.name}")
    root.rename(place)


def _fingerprint(spec: KernelSpec) -> str:
    row = {key: value for key, value in asdict(spec).items() if key not in _NOT_OF_PACKAGES}
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def digest(*parts: object) -> str:
    """A short name for what a folder of the cache was made of."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One fetch at a time for a cache: a second run waits and then finds the kernels there."""
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
