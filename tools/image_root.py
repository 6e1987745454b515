# SPDX-License-Identifier: Apache-2.0
"""Assembles the images' root folders: every file that is in them.

    python -X no_debug_ranges tools/image_root.py FOLDER

makes FOLDER/probe, FOLDER/exporter and FOLDER/exporter-full, each with what that image has beyond
the one before. The same sources and packages give the same bytes, names, modes and times.

Modules are byte code only, checked against no source, without docstrings: a read-only root could
not keep byte code that Python makes itself, and start-up would be five times slower. Nor has it the
columns of each expression (no_debug_ranges): a traceback without sources has nothing to underline.
"""

from __future__ import annotations

import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from image_modules import COMMANDS, modules

PYTHON = Path(sys.executable).resolve()
STDLIB = Path(sysconfig.get_path("stdlib"))
LIBRARY = STDLIB.relative_to("/")  # everything that is imported goes there: no path to set up
DYNLOAD = LIBRARY / "lib-dynload"
PACKAGES = sysconfig.get_path("platlib")
MODULE_OF = {
    "container-oomkill": "container_oomkill",
    "cffi": "_cffi_backend",
    "htpy": "htpy",
    "markupsafe": "markupsafe",
    "msgspec": "msgspec",
    "prometheus-client": "prometheus_client",
    "pyelftools": "elftools",
    "pyyaml": "yaml",
    "typing_extensions": "typing_extensions",
}
# glibc's pthread_exit opens it by name: Python's daemon threads end so, when Python does.
BY_NAME = ("libgcc_s.so.1",)
# No command imports these before it attaches, most commands never: they are packed, in a file of
# each image that has some. The debugger, and what it alone needs, comes with pyelftools.
LATE = (
    *("elftools", "htpy", "prometheus_client", "yaml"),
    *("bdb", "cmd", "code", "codeop", "difflib", "pdb", "pprint", "rlcompleter", "timeit"),
    *("argparse", "ast", "dis", "gettext", "inspect", "ipaddress", "locale", "platform"),
    *("shutil", "tokenize", "traceback"),
)
LATE_FILE = f"{LIBRARY}/late-{{image}}.zip"
LAUNCHER = f"""\
#!{PYTHON} -IS
import sys

sys.path += {[f"/{LATE_FILE.format(image=image)}" for image in COMMANDS]}
try:
    from container_oomkill.cli.main import main

    sys.exit(main())
except ModuleNotFoundError as error:
    print(f"container-oomkill: this image has no {{error.name}}", file=sys.stderr)
    print("use container-oomkill-exporter-full, which has everything", file=sys.stderr)
    sys.exit(2)
"""
# Modules that read files beside them.
WITH_ASSETS = (
    "container_oomkill.cli.demo",
    "container_oomkill.web.page",
    "container_oomkill.webhook.template",
)
USERS = "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
GROUP = "root:x:0:\nnobody:x:65534:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"
# Of every file, whatever the commit's: BuildKit compares contents only, and would take a layer with
# other times from its cache. 1980, as in archives that know no earlier year.
TIME = 315532800
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class Root:
    """One image's root folder; remembers what its files were, to say whose they are."""

    def __init__(self, folder: Path, below: Root | None = None) -> None:
        self.folder = folder
        self.below = below
        self.origins: set[Path] = set()
        self.late: dict[Path, bytes] = {}
        folder.mkdir(parents=True)

    def has(self, target: Path) -> bool:
        below = self.below is not None and self.below.has(target)
        return below or target in self.late or os.path.lexists(self.folder / target)

    def place(self, target: Path) -> Path | None:
        """Return where to write a file; None if the image has it."""
        if self.has(target):
            return None
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def copy(self, origin: Path, target: Path | None = None) -> None:
        target = target or Path(os.path.normpath(origin)).relative_to("/")
        if path := self.place(target):
            shutil.copyfile(origin, path)
            if origin.suffix == ".so" and origin.is_relative_to(PACKAGES):  # Debian's are stripped
                subprocess.run(["strip", "--strip-unneeded", path], check=True)
            path.chmod(0o755 if os.access(origin, os.X_OK) else 0o644)
            self.origins.add(origin.resolve())

    def write(self, target: str, text: str, mode: int = 0o644) -> None:
        if path := self.place(Path(target)):
            path.write_text(text)
            path.chmod(mode)

    def module(self, name: str, origin: Path) -> None:
        if origin.suffix != ".py":
            in_dynload = origin.parent.name == "lib-dynload"
            folder = DYNLOAD if in_dynload else LIBRARY.joinpath(*name.split(".")[:-1])
            self.copy(origin, folder / origin.name)
            return
        parts = name.split(".") + (["__init__"] if origin.name == "__init__.py" else [])
        target = LIBRARY.joinpath(*parts).with_suffix(".pyc")
        if path := self.place(target):
            py_compile.compile(
                str(origin),
                str(path),
                dfile=str(Path("/") / target.with_suffix(".py")),
                doraise=True,
                optimize=2,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
            self.origins.add(origin.resolve())
            if name.partition(".")[0] in LATE:
                self.late[target] = path.read_bytes()
                path.unlink()

    def pack(self) -> None:
        """Write the file with what is imported late; a package lies in one file only."""
        packages = {target.relative_to(LIBRARY).parts[0] for target in self.late}
        below, seen = self.below, set[str]()
        while below is not None:
            seen |= {target.relative_to(LIBRARY).parts[0] for target in below.late}
            below = below.below
        if split := packages & seen:
            sys.exit(f"{self.folder.name} has more of {split} than the image below it")
        if not self.late:
            return
        path = self.folder / LATE_FILE.format(image=self.folder.name)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for target, data in sorted(self.late.items()):
                entry = zipfile.ZipInfo(str(target.relative_to(LIBRARY)))  # of 1980 as well
                entry.compress_type = zipfile.ZIP_DEFLATED
                packed.writestr(entry, data)
        for folder in sorted(self.folder.rglob("*"), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def libraries(self) -> None:
        """Add the C libraries that the programs and extensions here need, at their names."""
        for path in [*self.folder.rglob("*.so"), *self.folder.rglob("python3.*")]:
            if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
                done = subprocess.run(["ldd", str(path)], capture_output=True, check=True)
                for library in re.findall(r"(/\S+) \(0x", done.stdout.decode()):
                    self.library(Path(library))

    def library(self, path: Path) -> None:
        """At the path the loader looks for, all folders resolved: here are no links."""
        if "ld-linux" in path.name:  # the interpreter's own name for it is fixed
            self.copy(path.resolve(), path.relative_to("/"))
        else:
            self.copy(path.parent.resolve() / path.name)

    def papers(self, *packages_too: str) -> None:
        """Add what each Debian package's licence is, and its entry for those who scan images."""
        packages = set(packages_too)
        notices: dict[str, str] = {}
        for origin in sorted(self.origins):
            done = subprocess.run(["dpkg-query", "-S", origin], capture_output=True, check=False)
            packages |= {line.rsplit(": ", 1)[0] for line in done.stdout.decode().splitlines()}
        for package in sorted(packages):
            name = package.partition(":")[0]
            entry = subprocess.run(["dpkg-query", "-s", package], capture_output=True, check=True)
            self.write(f"var/lib/dpkg/status.d/{name}", entry.stdout.decode())
            notice = Path("/usr/share/doc", name, "copyright")
            text = notice.read_text(errors="replace")
            if text in notices:  # of one source package: a link, as Debian itself has it
                if path := self.place(Path("usr/share/doc", name)):
                    path.symlink_to(notices[text])
                continue
            notices[text] = name
            self.write(f"usr/share/doc/{name}/copyright", text)
            for licence in re.findall(r"/usr/share/common-licenses/([A-Za-z]+-[\d.]*\d|BSD)", text):
                if (path := Path("/usr/share/common-licenses", licence)).exists():
                    self.write(str(path.relative_to("/")), path.read_text())

    def settle(self) -> None:
        """Nothing to write to, and one time for everything."""
        for path in [self.folder, *self.folder.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o555 if path.is_dir() or path.stat().st_mode & 0o111 else 0o444)
            os.utime(path, (TIME, TIME), follow_symlinks=False)


def distribution(root: Root, name: str) -> None:
    """Add what pip wrote about a package: its metadata and its licences."""
    folder = Path(sysconfig.get_path("purelib"))
    [information] = folder.glob(f"{name.replace('-', '_')}-*.dist-info")
    for path in information.rglob("*"):
        if path.is_file() and (path.name == "METADATA" or "licen" in str(path).lower()):
            root.copy(path, LIBRARY / path.relative_to(folder))


def assets(root: Root, package: Path) -> None:
    for path in sorted((package / "assets").rglob("*")):
        if path.is_file():
            root.copy(path, LIBRARY / path.relative_to(PACKAGES))


def main(folder: str) -> None:
    if "no_debug_ranges" not in sys._xoptions:
        sys.exit("run it by python -X no_debug_ranges: the byte code would be a tenth larger")
    probe = Root(Path(folder) / "probe")
    probe.copy(PYTHON)
    probe.write("usr/bin/container-oomkill", LAUNCHER, 0o755)
    for name, text in (("passwd", USERS), ("group", GROUP), ("nsswitch.conf", NSSWITCH)):
        probe.write(f"etc/{name}", text)
    exporter = Root(Path(folder) / "exporter", below=probe)
    full = Root(Path(folder) / "exporter-full", below=exporter)
    full.copy(CERTIFICATES)  # whose clients speak TLS; a server is given its clients' authority

    for root in (probe, exporter, full):
        found = modules(root.folder.name)
        for module, origin in found.items():
            root.module(module, origin)
        root.pack()
        if root is probe:
            (root.folder / DYNLOAD).mkdir(exist_ok=True)  # Python looks for the folder
            package = Path(found["container_oomkill"]).parent
            root.copy(package / "oomkill.bpf.o", LIBRARY / "container_oomkill/oomkill.bpf.o")
        for module in WITH_ASSETS:
            if module in found:
                assets(root, found[module].parent)
        top = {name.partition(".")[0] for name in found}
        for name in MODULE_OF:
            if MODULE_OF[name] in top:
                distribution(root, name)
        root.libraries()
        for library in BY_NAME:
            [path] = Path("/usr/lib").glob(f"*/{library}")
            root.library(path)
        # The bundle is made at installation, so it is no package's file.
        root.papers(*(["ca-certificates"] if root is full else []))
    for root in (probe, exporter, full):
        root.settle()


if __name__ == "__main__":
    main(sys.argv[1])
