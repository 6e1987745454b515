# SPDX-License-Identifier: Apache-2.0
"""Boots each chosen kernel in its setups and runs tests/kernel there on every hook.

    python -m tests.vm.matrix --kernels quick
    python -m tests.vm.matrix --kernels all --hooks fentry --tests tests/kernel/test_nested.py

Gives one table of scenario x (kernel, hook) and build/matrix.json, with --arch another name; status
1 when a test failed, a result is missing or no test ran, 2 when the kernels could not be had.
"""

import argparse
import compileall
import os
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.vm import compilers, emulator, guest, memory_killers, packages, page, table, userland
from tests.vm.errors import GuestError, VmError
from tests.vm.report import Matrix, Session, read_sessions, render

ROOT = Path(__file__).parents[2]
REFUSED = "tests/kernel/refused.py"
HOOKS = ("fentry", "kprobe", "raw_tracepoint")
# Memory in four nodes, to use up one of them (x86: CONFIG_NUMA_EMU).
NODES = "numa=fake=4"


@dataclass(frozen=True)
class Settings:
    """What runs in every guest, and how long it may take (`timeout` seconds per kernel)."""

    tests: str
    hooks: tuple[str, ...]
    userland: userland.Userland
    hog: str
    memory_killers: Path | None  # a root folder with them; none for other architectures
    extra: tuple[str, ...]
    share: Path
    timeout: float
    memory: str
    quick: bool  # some kernels stand for all


@dataclass(frozen=True)
class Boot:
    """A kernel in a setup."""

    kernel: packages.Kernel
    setup: table.Setup

    @property
    def name(self) -> str:
        return f"{self.kernel.name} {self.setup.name}".strip()


def main(argv: list[str] | None = None) -> int:
    """The exit status described above."""
    args = _parser().parse_args(argv)
    of_arch = "" if args.arch == table.NATIVE else f"-{args.arch}"
    out = (args.out or Path(f"build/matrix{of_arch}.json")).absolute()
    share = out.parent / f"vm{of_arch}"
    try:
        kernels = packages.ensure(table.choose(args.kernels, args.arch))
        root = userland.ensure(args.arch)
        emulator.ensure(args.arch)
        killers = memory_killers.ensure() if root.is_ours else None
        share.mkdir(parents=True, exist_ok=True)
        for version in (compilers.OLDEST, compilers.NEWEST):
            compilers.build_object(share, version, args.arch)
        boots = [
            Boot(kernel, setup)
            for kernel in kernels
            for setup in table.setups(kernel.name, kernel.arch)
            if setup is table.PLAIN or not args.plain
        ]
    except VmError as error:
        print(f"tests.vm.matrix: {error}", file=sys.stderr)
        return 2
    guest.end_with_us()
    settings = Settings(
        tests=args.tests,
        hooks=tuple(args.hooks.split(",")),
        userland=root,
        hog=root.hog or prepare(share, args.tests),
        memory_killers=killers,
        extra=tuple(args.extra),
        share=share,
        timeout=args.timeout,
        memory=args.memory,
        quick=args.kernels == "quick",
    )
    matrix = Matrix()
    with ThreadPoolExecutor(max_workers=args.jobs) as pool:
        results = pool.map(lambda boot: run_boot(boot, settings), boots)
        for facts, sessions in results:
            matrix.kernels.append(facts)
            matrix.sessions += sessions
    matrix.write(out)
    if args.publish and (shown := matrix.without_failures()).kernels:
        page.publish(shown, args.arch)
    print(f"\n{render(matrix)}")
    return 1 if matrix.failed() else 0


def prepare(share: Path, tests: str) -> str:
    """Do once, and fast, what each emulated guest would do again: compile Python, and the hog."""
    for source in (
        "tests/support/kernel/hog.c",
        "tests/support/kernel/actor.c",
        "tests/support/chaos/killer.c",
    ):
        program = share / Path(source).stem
        subprocess.run(
            ["cc", "-O1", "-pthread", str(ROOT / source), "-o", str(program)], check=True
        )
    compileall.compile_dir(ROOT / "src", quiet=2)
    # pytest compiles tests in a way of its own, and keeps them only where Python may.
    collect = [sys.executable, "-m", "pytest", "-q", "--collect-only", "--hook", HOOKS[0], tests]
    environ = {name: it for name, it in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(collect, check=False, cwd=ROOT, stdout=subprocess.DEVNULL, env=environ)
    return str(share / "hog")


def run_boot(boot: Boot, settings: Settings) -> tuple[dict[str, object], list[Session]]:
    """The guest's facts and a session per hook; a guest that died is in them too."""
    kernel = boot.kernel
    share = settings.share / boot.name.replace(" ", "-")
    shutil.rmtree(share, ignore_errors=True)
    share.mkdir(parents=True)
    facts: dict[str, object] = {
        "name": boot.name,
        "why": boot.setup.why or table.choose(kernel.name, kernel.arch)[0].why,
        "release": kernel.release,
        "arch": kernel.arch,
        "packages": kernel.packages,
    }
    print(f"{boot.name:<10} {kernel.release}: booting, output in {share}", flush=True)
    started = time.monotonic()
    died = ""
    try:
        result = _booted(boot, share, settings)
        facts |= {"boot_seconds": result.boot_seconds}
        (share / "dmesg").write_text(result.dmesg, encoding="utf-8")
    except GuestError as error:
        died = str(error)
    facts |= {"seconds": round(time.monotonic() - started, 1)}
    status = _status(share / "status")
    sessions = read_sessions(boot.name, settings.hooks, share / "results", status, died)
    if any(session.trouble for session in sessions) or status:
        _print_log(share / "log", boot.name)
    print(f"{boot.name:<10} {kernel.release}: {facts['seconds']} s", flush=True)
    return facts, sessions


def _booted(boot: Boot, share: Path, settings: Settings) -> guest.GuestResult:
    """Run the sessions in a guest."""
    return guest.run(
        boot.kernel,
        ["sh", "-c", _script(share, settings, boot)],
        share=share,
        timeout=settings.timeout,
        userland=settings.userland,
        cpus=boot.setup.cpus,
        memory=settings.memory,
        cgroup=boot.setup.cgroup,
        append=[NODES, *boot.setup.append],
        environ={
            "OOMKILL_TEST_GUEST": "1",
            **({"OOMKILL_TEST_QUICK": "1"} if settings.quick else {}),
            "OOMKILL_TEST_HOG": settings.hog,
            "OOMKILL_TEST_KILLER": str(settings.share / "killer"),
            "OOMKILL_TEST_ACTOR": str(settings.share / "actor"),
            **(
                {"OOMKILL_TEST_MEMORY_KILLERS": str(settings.memory_killers)}
                if settings.memory_killers
                else {}
            ),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # seconds each, and none is used
            # Of this very tree, wherever the environment's editable install points.
            **({"PYTHONPATH": str(ROOT / "src")} if settings.userland.is_ours else {}),
        },
    )


def _script(share: Path, settings: Settings, boot: Boot) -> str:
    """One pytest for all hooks; it leaves results, a log and, when it has ended, its status."""
    refused, tests = boot.kernel.refused, boot.setup.tests or settings.tests
    ours = [hook for hook in settings.hooks if hook not in refused]
    others = [hook for hook in settings.hooks if hook in refused]
    command = [settings.userland.python, "-m", "pytest", "-p", "no:cacheprovider"]
    command += [tests, "--hook", ",".join(ours)] if ours else [REFUSED]
    if others:  # no test's name by itself; a file of the folder, named beside it, would be dropped
        command += ["-o", "python_files=test_*.py refused.py", "--refused", ",".join(others)]
    command += [f"--results={share}/results", f"--objects={settings.share}", *settings.extra]
    log, status = shlex.quote(f"{share}/log"), shlex.quote(f"{share}/status")
    return f"{shlex.join(command)} > {log} 2>&1; echo $? > {status}"


def _status(path: Path) -> int | None:
    """What pytest ended with; None: it did not."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _print_log(log: Path, name: str) -> None:
    """What pytest said, for a guest that needs looking into."""
    if log.is_file():
        print(f"---- {name}: {log}")
        print(log.read_text(encoding="utf-8", errors="replace").rstrip())
        print("----", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.vm.matrix",
        description="Run the kernel tests in real Debian kernels and print one table.",
    )
    parser.add_argument("--arch", choices=sorted(table.ARCHES.values()), default=table.NATIVE)
    parser.add_argument("--kernels", default="quick", help="quick, all or names (default: quick)")
    parser.add_argument("--tests", default="tests/kernel", help="what pytest is pointed at")
    parser.add_argument("--hooks", default=",".join(HOOKS), help="what to give to --hook")
    parser.add_argument("--out", type=Path, help="default: build/matrix[-ARCH].json")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="put kernels that did not fail into docs/kernels[-ARCH].md",
    )
    parser.add_argument("--jobs", type=int, default=2, help="guests at a time (default: 2)")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds per kernel")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--plain", action="store_true", help="each kernel in one setup only")
    parser.add_argument("extra", nargs="*", metavar="-- PYTEST-ARGUMENT")
    return parser


if __name__ == "__main__":
    sys.exit(main())
