# SPDX-License-Identifier: Apache-2.0
"""Options as data: what the functions of `options` would tell argparse, noted and no more."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Option:
    """One option, by argparse's own names for what is said of it."""

    def __init__(self, *option_strings: str, **told: Any) -> None:
        self.option_strings = option_strings
        longest = max(option_strings, key=len).lstrip("-")
        self.dest: str = told.get("dest") or longest.replace("-", "_")
        self.is_switch = told.get("action") == "store_true"
        self.repeatable = told.get("action") == "append"
        self.nargs: str | int | None = 0 if self.is_switch else told.get("nargs")
        self.default: Any = told.get("default", False if self.is_switch else None)
        self.const: Any = told.get("const")
        self._type: Callable[[str], Any] = told.get("type", str)
        self._choices = told.get("choices")

    def value(self, text: str) -> Any:
        """Raises whatever its type raises; `LookupError` for what is none of its choices."""
        value = self._type(text)
        if self._choices is not None and value not in self._choices:
            raise LookupError(text)
        return value


class Noted:
    """Stands where the functions of `options` expect a parser; notes what they add."""

    def __init__(self) -> None:
        self.options: list[Option] = []

    def add_argument(self, *names: str, **told: Any) -> None:
        self.options.append(Option(*names, **told))

    def add_argument_group(self, *_: str) -> Noted:
        return self
