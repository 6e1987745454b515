# SPDX-License-Identifier: Apache-2.0
"""Runs a command on kernels, one line of result each; status 1 if it fails on any.

    python -m tests.vm --list
    python -m tests.vm --kernels all --fetch-only
    python -m tests.vm --kernels 6.1,7.3 -- uname -r

The command sees this machine's files; what it writes is lost, except below --share.
"""

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.vm import emulator, guest, packages, table, userland
from tests.vm.errors import GuestError, VmError


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 all well, 1 a command failed or a guest did not come up, 2 the rig failed."""
    args = _parser().parse_args(argv)
    try:
        if args.json:
            rows = [{"arch": row.arch, "kernel": row.name} for row in table.load()]
            print(json.dumps(rows))
            return 0
        specs = table.choose(args.kernels, args.arch)
        if args.list:
            return _list(specs)
        kernels = packages.ensure(specs, refresh=args.refresh)
        emulator.ensure(args.arch)
    except VmError as error:
        print(f"tests.vm: {error}", file=sys.stderr)
        return 2
    if args.fetch_only:
        for kernel in kernels:
            print(f"{kernel.name:<10} {kernel.release}  {kernel.root}")
        return 0
    if not args.command:
        print("tests.vm: no command; put it after --", file=sys.stderr)
        return 2
    try:
        root = userland.ensure(args.arch)
    except VmError as error:
        print(f"tests.vm: {error}", file=sys.stderr)
        return 2
    guest.end_with_us()
    with ThreadPoolExecutor(max_workers=args.jobs) as pool:
        outcomes = list(pool.map(lambda kernel: _one(kernel, root, args), kernels))
    return 0 if all(outcomes) else 1


def _list(specs: tuple[table.KernelSpec, ...]) -> int:
    for spec in specs:
        kernel = packages.cached(spec)
        state = kernel.release if kernel else "not fetched"
        quick = "quick" if spec.in_quick else "-"
        print(f"{spec.name:<10} {spec.arch:<6} {quick:<6} {state:<24} {spec.why}")
    return 0


def _one(kernel: packages.Kernel, root: userland.Userland, args: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="vm-") as scratch:
        try:
            result = guest.run(
                kernel,
                args.command,
                share=args.share or Path(scratch),
                timeout=args.timeout,
                userland=root,
                cpus=args.cpus,
                memory=args.memory,
                cgroup=args.cgroup,
                append=args.append,
            )
        except GuestError as error:
            print(f"{kernel.name:<10} ERROR  {error}", flush=True)
            return False
    word = "ok" if result.returncode == 0 else f"FAIL ({result.returncode})"
    times = f"{result.seconds:.1f} s (boot {result.boot_seconds:.1f} s)"
    shown = "".join(f"\n    {line}" for line in result.output.splitlines())
    print(f"{kernel.name:<10} {word:<10} {times}  {kernel.release}{shown}", flush=True)
    return result.returncode == 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.vm",
        description="Run a command in real Debian kernels, each booted in QEMU.",
    )
    parser.add_argument("--kernels", default="quick", help="quick, all or names (default: quick)")
    parser.add_argument("--arch", choices=sorted(table.ARCHES.values()), default=table.NATIVE)
    parser.add_argument("--list", action="store_true", help="show the table and what is cached")
    parser.add_argument("--json", action="store_true", help="the whole table, for CI")
    parser.add_argument("--fetch-only", action="store_true", help="fill the cache, boot nothing")
    parser.add_argument("--refresh", action="store_true", help="fetch again, newest versions")
    parser.add_argument("--jobs", type=int, default=1, help="guests at a time (default: 1)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds per guest")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--cgroup", choices=("v1", "v2", "hybrid"), default="v2")
    parser.add_argument("--append", action="append", default=[], help="kernel argument; repeatable")
    parser.add_argument("--share", type=Path, help="folder the guest may write (one kernel only)")
    parser.add_argument("command", nargs="*", metavar="-- COMMAND")
    return parser


if __name__ == "__main__":
    sys.exit(main())
