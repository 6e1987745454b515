# SPDX-License-Identifier: Apache-2.0
"""Takes versions of Kubernetes and places to run them in, gives a table of what was tried.

    python -m tests.cluster                                 # everything
    python -m tests.cluster --versions newest --here        # on this machine only
    python -m tests.cluster --guest                         # cgroup v2: what depends on it
    python -m tests.cluster --guest -- tests/cluster/test_kills.py -k "[Job]"

Exit status 1 where a test failed, 2 where Kubernetes, the images or the guest could not be had.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from ..support.cluster import images, namespaces, programs
from ..support.cluster.settings import GUEST, SETTINGS
from ..vm import emulator, guest, packages, table
from ..vm.errors import VmError
from .guests import SECONDS, TESTS

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build/cluster"
KERNEL, MEMORY = "6.12", "7G"
NAMES = {"oldest": programs.OLDEST, "newest": programs.NEWEST}


def main(argv: list[str] | None = None) -> int:
    """The exit status described above."""
    args = _parser().parse_args(argv)
    if args.inside:
        return _run_apart(json.loads(args.inside), args.pytest)
    guest.end_with_us()
    versions = [NAMES.get(each, each) for each in args.versions.split(",")]
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
            statuses.append(_run_apart(settings, _chosen(args.pytest, ["tests/cluster"])))
        for kernel in kernels:
            settings = _settings(common, f"cgroup-v2-{kernel.release}")
            statuses.append(_run_in_guest(kernel, settings, _chosen(args.pytest, TESTS)))
    return max(statuses)


def _chosen(arguments: list[str], tests: Iterable[str]) -> list[str]:
    """``tests``, and pytest's arguments, unless these name tests themselves."""
    named = any(argument.startswith("tests/") for argument in arguments)
    return arguments if named else [*tests, *arguments]


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
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("pytest", nargs="*", metavar="-- PYTEST-ARGUMENT")
    return parser


if __name__ == "__main__":
    sys.exit(main())
