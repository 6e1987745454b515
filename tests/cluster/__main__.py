# SPDX-License-Identifier: Apache-2.0
"""Takes versions of Kubernetes and places to run them in, gives a table of what was tried.

    python -m tests.cluster                                 # everything
    python -m tests.cluster --versions newest --here        # on this machine only
    python -m tests.cluster --guest --parts kubelet         # cgroup v2, one of the guest's parts
    python -m tests.cluster --guest -- tests/cluster/test_kills.py -k "[Job]"

Exit status 1 where a test failed, 2 where Kubernetes, the images or the guest could not be had.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..support.cluster import images, namespaces, programs
from ..support.cluster.settings import GUEST, SETTINGS
from ..vm import emulator, guest, packages, table
from ..vm.errors import VmError
from .parts import PARTS, SECONDS

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build/cluster"
KERNEL, MEMORY = "6.12", "7G"
NAMES = {"oldest": programs.OLDEST, "newest": programs.NEWEST}


def main(argv: list[str] | None = None) -> int:
    """The exit status described above."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.inside:
        return _run_apart(json.loads(args.inside), args.pytest)
    guest.end_with_us()
    versions = [NAMES.get(each, each) for each in args.versions.split(",")]
    parts = args.parts.split(",") if args.parts else list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts {', '.join(unknown)}: there are {', '.join(PARTS)}")
    both = args.here == args.guest
    try:
        built = [programs.ensure(version) for version in versions]
        exporters = images.ensure()
        kernels = packages.ensure(table.choose(KERNEL, table.NATIVE)) if both or args.guest else []
        if kernels:
            emulator.ensure(table.NATIVE)
    except (programs.ProgramError, VmError, subprocess.CalledProcessError) as error:
        print(f"tests.cluster: {error}", file=sys.stderr)
        return 2
    statuses = []
    for each in built:
        common = {
            "version": each.version,
            "programs": str(each.folder),
            "exporters": str(exporters),
        }
        if both or args.here:
            settings = _settings(common, "here")
            statuses.append(_run_apart(settings, args.pytest))
        for kernel in kernels:
            place = f"cgroup-v2-{kernel.release}"
            if any(argument.startswith("tests/") for argument in args.pytest):
                settings = _settings(common, f"{place}-chosen")
                statuses.append(_run_in_guest(kernel, settings, args.pytest))
                continue
            for part in parts:
                settings = _settings(common, f"{place}-{part}")
                statuses.append(_run_in_guest(kernel, settings, [*PARTS[part], *args.pytest]))
    return max(statuses)


def _settings(common: dict[str, str], place: str) -> dict[str, str]:
    """Return those of one run, with a new folder for its logs."""
    out = OUT / f"{common['version']}-{place}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    print(f"Kubernetes {common['version']}, {place}: logs in {out}", flush=True)
    return {**common, "hog": str(images.hog(out)), "out": str(out)}


def _run_apart(settings: dict[str, str], arguments: list[str]) -> int:
    """Run the tests in namespaces of their own."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", *arguments]
    if not any(each.startswith("tests/") for each in arguments):
        command.append("tests/cluster")
    with namespaces.prepared() as (apart, folder):
        environ = {**os.environ, SETTINGS: json.dumps({**settings, "folder": str(folder)})}
        return min(1, subprocess.run([*apart, *command], cwd=ROOT, env=environ).returncode)


def _run_in_guest(kernel: packages.Kernel, settings: dict[str, str], arguments: list[str]) -> int:
    out = Path(settings["out"])
    log = out / "log"
    inside = [sys.executable, "-u", "-m", "tests.cluster", "--inside", json.dumps(settings), "--"]
    run = f'"$@" > {log} 2>&1'
    try:
        result = guest.run(
            kernel,
            ["sh", "-c", run, "sh", *inside, *arguments],
            share=out,
            timeout=SECONDS,
            memory=MEMORY,
            cwd=ROOT,
            environ={
                GUEST: "1",
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            },
        )
    except VmError as error:
        print(f"tests.cluster: {error}", file=sys.stderr)
        return 2
    finally:
        if log.exists():
            print(log.read_text(errors="replace"), flush=True)
    (out / "dmesg").write_text(result.dmesg)
    return result.returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster",
        description="Run the tests of a real Kubernetes.",
        epilog="Without --here and --guest: both.",
    )
    parser.add_argument("--versions", default="oldest,newest", help="of Kubernetes, by commas")
    parser.add_argument("--here", action="store_true", help="on this machine")
    parser.add_argument("--guest", action="store_true", help=f"in a guest: {KERNEL}, cgroup v2")
    parser.add_argument("--parts", help=f"of the guest, by commas: {', '.join(PARTS)}")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("pytest", nargs="*", metavar="-- PYTEST-ARGUMENT")
    return parser


if __name__ == "__main__":
    sys.exit(main())
