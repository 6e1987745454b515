# SPDX-License-Identifier: Apache-2.0
"""The log: every line on stderr is written here, as text for people or as JSON for collectors.

The JSON has the fields of the other Prometheus exporters (promslog, Go's slog): ``time`` in UTC,
``level`` as INFO, WARN or ERROR, ``source`` as file:line, ``msg``. Whatever a message contains, it
is one line without control or bidirectional characters.

`logging` is not used, because this is imported before attaching; `make bench` shows what it would
cost.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

PROGRAM = "container-oomkill"
FORMATS = ("text", "json")
LEVELS = ("info", "warn", "error")  # error is what ends the process; nothing is logged at debug

_program = PROGRAM
_as_json = False
_least = LEVELS.index("info")


def configure(*, form: str = "text", level: str = "info", program: str = PROGRAM) -> None:
    """Set the format, one of `FORMATS`, and the lowest of `LEVELS` that is written.

    ``program``: what a line of text begins with.
    """
    global _as_json, _least, _program
    _program = program
    _as_json = form == "json"
    _least = LEVELS.index(level)
    sys.excepthook = _bug if _as_json else sys.__excepthook__


def info(words: str) -> None:
    _write("info", words, sys._getframe(1))


def warn(words: str) -> None:
    """Log a loss or a failure that does not end the process."""
    _write("warn", words, sys._getframe(1))


def error(words: str) -> None:
    """Log what ends a command, or a bug."""
    _write("error", words, sys._getframe(1))


class Once:
    """Warns of a condition once for as long as it lasts; for what is retried."""

    def __init__(self, about: str) -> None:
        self._about = about
        self._said: str | None = None

    def warn(self, words: str) -> None:
        if words != self._said:
            self._said = words
            _write("warn", f"{self._about}: {words}", sys._getframe(1))

    def clear(self) -> bool:
        """Note that the condition is over; return whether there was one."""
        was_wrong, self._said = self._said is not None, None
        return was_wrong


def one_line(text: str) -> str:
    """Return it with escapes for what is not printable, line breaks included."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _write(level: str, words: str, caller: FrameType | None, **more: str) -> None:
    if LEVELS.index(level) < _least:
        return
    words = one_line(words)
    if _as_json:
        import json  # text has no use for it

        line = json.dumps(_head(level, caller) | {"msg": words} | more)
    else:
        line = f"{_program}: {words}"
    _put(line)


def _put(line: str) -> None:
    sys.stderr.write(line + "\n")  # in one piece: other threads write as well
    sys.stderr.flush()


def _head(level: str, caller: FrameType | None) -> dict[str, str]:
    now = time.time()
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    head = {"time": f"{second}.{int(now * 1000) % 1000:03d}Z", "level": level.upper()}
    if caller is not None:
        file = caller.f_code.co_filename.rpartition("/")[2]
        head["source"] = f"{file}:{caller.f_lineno}"
    return head


def _bug(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    """Write what ends the process as one line, too, where Python would write its own many."""
    import traceback

    last = trace
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    stack = "".join(traceback.format_exception(kind, value, trace))
    _write("error", f"{kind.__name__}: {value}", last and last.tb_frame, stack=stack)
