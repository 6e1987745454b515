#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The build recipe: the BPF object by clang, and the five cffi extensions.

setup.py calls it. By hand: `python build.py object` makes the object alone, `python build.py check`
compiles it for every architecture and throws it away; `python build.py object FILE` makes the one
for $BPF_MACHINE elsewhere. To build the wheel: `pip wheel --no-deps .` (not `python -m build`: in
this folder that name is this file).

What it makes, beside the sources:
  src/container_oomkill/oomkill.bpf.o    bpf/ compiled, without DWARF
  container_oomkill.incident._wire       bpf/oomkill.h as the C compiler lays it out
  container_oomkill.libbpf._libbpf       libbpf, and the C files in libbpf/
  container_oomkill.system._privileges   privileges.c, for dropping privileges
  container_oomkill.identity._inotify    inotify, which Python itself does not have
  container_oomkill.web.http._crypt      crypt(3), for the users' passwords
"""

from __future__ import annotations

import binascii
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # where the object alone is made, cffi is not needed
    from cffi import FFI

ROOT = Path(__file__).resolve().parent
PACKAGE = ROOT / "src" / "container_oomkill"
OBJECT = PACKAGE / "oomkill.bpf.o"
# Python's own settings have -g: more than half of an extension, in every wheel and image.
NO_DEBUG = "-g0"
LIBBPF_SOURCES = ("log.c", "heap.c", "ringbuf.c", "core_types.c", "kernel_types.c")
# A quarter of the object, which libbpf passes over: what it relocates, it finds by .BTF.ext itself.
UNREAD = (".rel.BTF", ".rel.BTF.ext", ".llvm_addrsig")
PACKAGES = "clang llvm libbpf-dev libelf-dev libseccomp-dev zlib1g-dev"

# uname -m -> the name libbpf's bpf_tracing.h knows the registers by
ARCHES = {"x86_64": "x86", "aarch64": "arm64"}


def tool(name: str) -> str:
    """A program's path: $CLANG and $LLVM_STRIP, else the PATH, else the newest numbered one."""
    chosen = os.environ.get(name.upper().replace("-", "_")) or shutil.which(name)
    if chosen:
        return chosen
    numbered = sorted(Path("/usr/lib").glob(f"llvm-*/bin/{name}"))
    if numbered:
        return str(numbered[-1])
    raise SystemExit(f"build: no {name} found: apt-get install {PACKAGES}")


def build_object(target: Path = OBJECT, machine: str | None = None) -> bytes:
    """Compile bpf/oomkill.bpf.c for a machine (default: this one), strip it, return its bytes.

    $BPF_MACHINE is another default. $BPF_OBJECT is an object that this function made before, to be
    taken as it is: under emulation, where gcc is slow, clang is slower.
    """
    if machine is None and (made := os.environ.get("BPF_OBJECT")):
        return Path(shutil.copyfile(made, target)).read_bytes()
    machine = machine or os.environ.get("BPF_MACHINE") or platform.machine()
    if machine not in ARCHES:
        raise SystemExit(f"build: no BPF object for {machine}: known are {', '.join(ARCHES)}")
    command = [
        tool("clang"),
        *("-target", "bpf", "-mcpu=v2", f"-D__TARGET_ARCH_{ARCHES[machine]}"),
        *("-g", "-O2", "-Wall", "-Werror"),
        # Relative names only: the same bytes in whatever folder it is built.
        *("-fdebug-compilation-dir=.", f"-ffile-prefix-map={ROOT}=."),
        *("-c", "bpf/oomkill.bpf.c", "-o", str(target)),
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    unread = [f"--remove-section={name}" for name in UNREAD]
    subprocess.run([tool("llvm-strip"), "-g", *unread, str(target)], check=True)
    return target.read_bytes()


def declarations(*headers: str) -> str:
    """Turn our C headers into what cffi's parser takes; the C compiler supplies the numbers."""
    text = "".join((ROOT / "bpf" / header).read_text() for header in headers)
    text = re.sub(r"^#(ifndef|endif).*$|^#define \w+_H$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^#define (\w+) .*$", r"#define \1 ...", text, flags=re.MULTILINE)
    text = re.sub(r"\[OOMKILL_\w+\]", "[...]", text)
    types = {"__u8": "unsigned char", "__u16": "unsigned short", "__u32": "unsigned int"}
    types |= {"__s32": "int", "__u64": "unsigned long long", "__s64": "long long"}
    return "".join(f"typedef {c} {name};\n" for name, c in types.items()) + text


def wire_ffi() -> FFI:
    """bpf/oomkill.h and killers.h, and the checksum of the object checked against them."""
    from cffi import FFI

    checksum = binascii.crc32(build_object())
    ffi = FFI()
    ffi.cdef(declarations("oomkill.h", "killers.h") + "#define OBJECT_CHECKSUM ...\n")
    ffi.set_source(
        "container_oomkill.incident._wire",
        '#include <linux/types.h>\n#include "oomkill.h"\n#include "killers.h"\n'
        f"#define OBJECT_CHECKSUM {checksum}u\n",
        include_dirs=[str(ROOT / "bpf")],
        # It calls nothing of libc; auditwheel takes one without it for something it does not know.
        extra_link_args=["-Wl,--no-as-needed", "-lc"],
        extra_compile_args=[NO_DEBUG],
        py_limited_api=True,
    )
    return ffi


def libbpf_ffi() -> FFI:
    """libbpf, linked as the system has it; `auditwheel repair` puts it into the wheel."""
    from cffi import FFI

    folder = PACKAGE / "libbpf"
    ffi = FFI()
    ffi.cdef((folder / "cdef.h").read_text())
    ffi.set_source(
        "container_oomkill.libbpf._libbpf",
        "#include <bpf/bpf.h>\n#include <bpf/btf.h>\n#include <bpf/libbpf.h>\n"
        + "".join((folder / name).read_text() for name in LIBBPF_SOURCES),
        libraries=["bpf"],
        extra_compile_args=["-Wall", "-Werror", NO_DEBUG],
        py_limited_api=True,
    )
    return ffi


def privileges_ffi() -> FFI:
    """privileges.c: how a process drops its privileges; libseccomp, linked as libbpf is."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef((PACKAGE / "system" / "privileges.h").read_text())
    ffi.set_source(
        "container_oomkill.system._privileges",
        (PACKAGE / "system" / "privileges.c").read_text(),
        libraries=["seccomp"],
        extra_compile_args=["-Wall", "-Werror", NO_DEBUG],
        py_limited_api=True,
    )
    return ffi


def inotify_ffi() -> FFI:
    """Three calls of libc, which is what auditwheel wants to see linked."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef((PACKAGE / "identity" / "inotify_cdef.h").read_text())
    ffi.set_source(
        "container_oomkill.identity._inotify",
        "#include <stdint.h>\n#include <sys/inotify.h>\n",
        extra_compile_args=[NO_DEBUG],
        py_limited_api=True,
    )
    return ffi


def crypt_ffi() -> FFI:
    """crypt(3): libxcrypt, linked as libbpf is."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef((PACKAGE / "web" / "http" / "crypt_cdef.h").read_text())
    ffi.set_source(
        "container_oomkill.web.http._crypt",
        "#include <crypt.h>\n",
        libraries=["crypt"],
        extra_compile_args=[NO_DEBUG],
        py_limited_api=True,
    )
    return ffi


def check() -> None:
    """Compile the object for every architecture known; the compiler's warnings are errors."""
    with tempfile.TemporaryDirectory() as folder:
        for machine in ARCHES:
            size = len(build_object(Path(folder) / "oomkill.bpf.o", machine))
            print(f"{machine}: {size} bytes")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["object"]:
            print(f"{len(build_object())} bytes in {OBJECT.relative_to(ROOT)}")
        case ["object", file]:
            print(f"{len(build_object(Path(file).absolute()))} bytes in {file}")
        case ["check"]:
            check()
        case _:
            raise SystemExit("usage: build.py object [FILE]|check; a wheel: pip wheel --no-deps .")
