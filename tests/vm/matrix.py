# SPDX-License-Identifier: Apache-2.0
"""Takes a choice of kernels, boots each once and runs tests/kernel in it for every rung.

    python -m tests.vm.matrix --kernels quick
    python -m tests.vm.matrix --kernels all --rungs fentry --tests tests/kernel/test_nested.py

Gives one table of scenario x (kernel, rung) and build/matrix.json, with --arch another name; status
1 when a test failed, a report is missing or no test ran, 2 when the kernels could not be had.
"""

import argparse
import compileall
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.vm import guest, packages, table, userland
from tests.vm.errors import GuestError, VmError
from tests.vm.report import Matrix, Session, read_session, render

EMULATOR_FAULT = "Oops: int3"
BOOTS = 4
REFUSED = "tests/kernel/refused.py"
RUNGS = ("fentry", "kprobe", "raw_tracepoint")


@dataclass(frozen=True)
class Settings:
    """What runs in every guest, and how long it may take (`timeout` seconds per kernel)."""

    tests: str
    rungs: tuple[str, ...]
    userland: userland.Userland
    hog: str
    extra: tuple[str, ...]
    share: Path
    timeout: float
    memory: str
    cpus: int


def main(argv: list[str] | None = None) -> int:
    """The exit status described above."""
    args = _parser().parse_args(argv)
    of_arch = "" if args.arch == table.NATIVE else f"-{args.arch}"
    out = (args.out or Path(f"build/matrix{of_arch}.json")).absolute()
    share = out.parent / f"vm{of_arch}"
    try:
        kernels = packages.ensure(table.choose(args.kernels, args.arch))
        root = userland.ensure(args.arch)
    except VmError as error:
        print(f"tests.vm.matrix: {error}", file=sys.stderr)
        return 2
    guest.end_with_us()
    share.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        tests=args.tests,
        rungs=tuple(args.rungs.split(",")),
        userland=root,
        hog=root.hog or prepare(share),
        extra=tuple(args.extra),
        share=share,
        timeout=args.timeout,
        memory=args.memory,
        cpus=args.cpus,
    )
    matrix = Matrix()
    with ThreadPoolExecutor(max_workers=args.jobs) as pool:
        results = pool.map(lambda kernel: run_kernel(kernel, settings), kernels)
        for facts, sessions in results:
            matrix.kernels.append(facts)
            matrix.sessions += sessions
    matrix.write(out)
    print(f"\n{render(matrix)}")
    return 1 if matrix.failed() else 0


def prepare(share: Path) -> str:
    """Do once, and fast, what each emulated guest would do again: compile Python, and the hog."""
    root = Path(__file__).parents[2]
    for source in ("tests/kernel/hog.c", "tests/chaos/killer.c"):
        program = share / Path(source).stem
        subprocess.run(
            ["cc", "-O1", "-pthread", str(root / source), "-o", str(program)], check=True
        )
    for folder in ("src", "tests"):
        compileall.compile_dir(root / folder, quiet=2)
    return str(share / "hog")


def run_kernel(
    kernel: packages.Kernel, settings: Settings
) -> tuple[dict[str, object], list[Session]]:
    """One boot: the guest's facts and a session per rung; a guest that died is in them too."""
    share = settings.share / kernel.name
    shutil.rmtree(share, ignore_errors=True)
    share.mkdir(parents=True)
    facts: dict[str, object] = {
        "name": kernel.name,
        "release": kernel.release,
        "arch": kernel.arch,
        "packages": kernel.packages,
    }
    print(f"{kernel.name:<10} {kernel.release}: booting, output in {share}", flush=True)
    started = time.monotonic()
    died = ""
    try:
        result = _booted(kernel, share, settings)
        facts |= {"boot_seconds": result.boot_seconds}
        (share / "dmesg").write_text(result.dmesg, encoding="utf-8")
    except GuestError as error:
        died = str(error)
    facts |= {"seconds": round(time.monotonic() - started, 1)}
    sessions = [_session(kernel.name, rung, share, died) for rung in settings.rungs]
    for session in sessions:
        if any(case.outcome == "FAIL" for case in session.cases) or session.trouble:
            _print_log(share / f"{session.rung}.log", session)
    print(f"{kernel.name:<10} {kernel.release}: {facts['seconds']} s", flush=True)
    return facts, sessions


def _booted(kernel: packages.Kernel, share: Path, settings: Settings) -> guest.GuestResult:
    """Run the sessions in a guest; again, up to `BOOTS` times, if the emulator broke it.

    With two CPUs QEMU's emulation can run into the int3 that the kernel puts in place while it
    patches its own code, after the patch is done: an oops no real CPU shows, and none of ours.
    """

    def run() -> guest.GuestResult:
        return guest.run(
            kernel,
            ["sh", "-c", _script(share, settings, kernel.refused)],
            share=share,
            timeout=settings.timeout,
            userland=settings.userland,
            cpus=settings.cpus,
            memory=settings.memory,
            environ={
                "CONTAINER_OOMKILL_GUEST": "1",
                "CONTAINER_OOMKILL_HOG": settings.hog,
                "CONTAINER_OOMKILL_KILLER": str(settings.share / "killer"),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # seconds each, and none is used
            },
        )

    for _ in range(BOOTS - 1):
        try:
            return run()
        except GuestError:
            console = (share / ".vm" / "console").read_text(encoding="utf-8", errors="replace")
            if EMULATOR_FAULT not in console:
                raise
            print(f"{kernel.name:<10} the emulator broke the guest ({EMULATOR_FAULT}): again")
    return run()


def _script(share: Path, settings: Settings, refused: Sequence[str]) -> str:
    """One line per rung; each leaves RUNG.xml, RUNG.log and, when pytest ended, RUNG.status."""
    lines = []
    for rung in settings.rungs:
        tests = REFUSED if rung in refused else settings.tests
        command = [settings.userland.python, "-m", "pytest", tests, "-p", "no:cacheprovider"]
        command += ["--hook", rung, f"--junitxml={share}/{rung}.xml", *settings.extra]
        base = shlex.quote(f"{share}/{rung}")
        lines.append(f"{shlex.join(command)} > {base}.log 2>&1; echo $? > {base}.status")
    return "\n".join(lines)


def _session(kernel: str, rung: str, share: Path, died: str) -> Session:
    try:
        status = int((share / f"{rung}.status").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        status = None
    if status is None and died:
        return Session(kernel, rung, trouble=died)
    return read_session(kernel, rung, share / f"{rung}.xml", status)


def _print_log(log: Path, session: Session) -> None:
    """What pytest said, for a session that needs looking into."""
    if log.is_file():
        print(f"---- {session.kernel} {session.rung}: {log}")
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
    parser.add_argument("--rungs", default=",".join(RUNGS), help="values for --hook, with commas")
    parser.add_argument("--out", type=Path, help="default: build/matrix[-ARCH].json")
    parser.add_argument("--jobs", type=int, default=1, help="guests at a time (default: 1)")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds per kernel")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("extra", nargs="*", metavar="-- PYTEST-ARGUMENT")
    return parser


if __name__ == "__main__":
    sys.exit(main())
