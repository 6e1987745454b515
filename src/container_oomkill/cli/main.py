# SPDX-License-Identifier: Apache-2.0
"""Runs one command and returns its exit status.

0 done, 1 a stage failed while running, 2 wrong usage, 3 this kernel or these privileges cannot
run it. Modules that attaching does not need are imported after attaching.
"""

from __future__ import annotations

import sys

from ..errors import Error, StuckError, UsageError
from ..system import log, standard_streams
from ..system.later import SELDOM_USED, import_later
from . import common_way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence


PACKAGE = "container_oomkill."
MORE_MEMORY = "allow this process more memory (ulimit -v)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    import_later(*SELDOM_USED)
    return ended(lambda: _main(sys.argv[1:] if argv is None else argv))


def _main(argv: Sequence[str]) -> int:
    args = common_way.read(argv) or _parsed(argv)
    if args is None:
        return 0
    log.configure(form=args.log_format, level=args.log_level)
    return _run(args)


def ended(run: Callable[[], int]) -> int:
    """Run a program; an `Error` is one line on stderr and its exit status.

    So is what comes of no bug: no memory, no module.
    """
    try:
        standard_streams.prepare()
        status = run()
        sys.stdout.flush()  # or Python finds at its end that the disk is full, and says it its way
        return status
    except BrokenPipeError:
        standard_streams.abandon_stdout()  # the reader has had enough
        return 0
    except KeyboardInterrupt:
        return 0
    except Error as error:
        if isinstance(error, StuckError):
            standard_streams.abandon_stdout()
        return _complain(error, error.exit_status)
    except MemoryError:
        return _complain(Error(f"the system gives no more memory: {MORE_MEMORY}"), 1)
    except ImportError as error:  # the rest is imported while it runs; memory may be what it lacks
        return _complain(Error(f"{error}: install container-oomkill again, or {MORE_MEMORY}"), 1)
    except OSError as error:
        standard_streams.abandon_stdout()
        about = error.filename or "write to standard output"
        return _complain(Error(f"{about}: {(error.strerror or str(error)).lower()}"), 1)


def _parsed(argv: Sequence[str]) -> Namespace | None:
    """By argparse; None: help or version was asked for, and is printed."""
    from .parser import log_options, parse

    log.configure(**log_options(argv))  # first: what is wrong with the others is logged
    try:
        return parse(argv)
    except SystemExit:
        return None


def _run(args: Namespace) -> int:
    try:
        command = _command(args.command)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(PACKAGE):
            raise
        raise UsageError(
            f"this image has no {args.command}: container-oomkill-exporter has what reads "
            "incidents; use container-oomkill-exporter-full for all but mcp, and "
            "pip install container-oomkill[mcp] for that"
        ) from None
    try:
        return command(args)
    except UsageError as error:
        from .environment import as_given

        raise UsageError(as_given(str(error), args.variables)) from error


def _command(name: str) -> Callable[[Namespace], int]:
    """Import that command's module and no other: an image may lack the others.

    A module of that name each: tools/image_modules.py relies on it.
    """
    if name == "probe":
        from .probe import command
    elif name == "exporter":
        from .exporter import command
    elif name == "doctor":
        from .doctor import command
    elif name == "unpin":
        from .unpin import command
    elif name == "replay":
        from .replay import command
    elif name == "symbolize":
        from .symbolize import command
    elif name == "explain":
        from .explain import command
    elif name == "mcp":
        from .mcp import command
    elif name == "schema":
        from .schema import command
    elif name == "why":
        from .why import command
    elif name == "demo":
        from .demo import command
    else:
        from .show import command
    return command


def _complain(error: Exception, status: int) -> int:
    log.error(str(error))
    return status
