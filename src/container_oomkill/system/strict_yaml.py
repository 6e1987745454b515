# SPDX-License-Identifier: Apache-2.0
"""A YAML file of fields whose types are known: whatever is not as expected is refused by name.

All scalars are read as text, and each field makes of it what it is: no name is ever taken for a
number or a boolean. PyYAML is in the extra ``container-oomkill[web]``.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..errors import UsageError

EXTRA = "container-oomkill[web]"
BYTES_MAX = 1 << 20
TRUE = ("true", "yes", "on", "y")  # YAML 1.1
FALSE = ("false", "no", "off", "n")


class Refused(Exception):  # noqa: N818 - becomes an error once the file's name is with it
    """The field, and why it is refused."""


def load(path: str, option: str) -> object:
    """Return the document; every scalar in it is text. Raises `Refused`, `UsageError`.

    ``option``: the one whose file it is.
    """
    try:
        import yaml
    except ModuleNotFoundError:
        raise UsageError(f"{option}: PyYAML is not installed: pip install '{EXTRA}'") from None

    class Loader(yaml.BaseLoader):
        """Refuses a key that is there twice, of which others would take the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ARG002 - theirs
            seen: set[object] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue  # refused below
                if key.value in seen:
                    words = f"{_shown(key.value)} is there twice"
                    raise yaml.MarkedYAMLError(problem=words, problem_mark=key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep=True)

    try:
        with Path(path).open("rb") as file:
            data = file.read(BYTES_MAX + 1)
        if len(data) > BYTES_MAX:
            raise Refused("is larger than 1 MiB")
        return yaml.load(data, Loader)  # noqa: S506 - of the base, which makes text only
    except OSError as error:
        raise Refused((error.strerror or str(error)).lower()) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise Refused(f"{where}{error.problem or 'is not YAML'}") from None
    except (yaml.YAMLError, UnicodeError):
        raise Refused("is not YAML") from None
    except RecursionError:
        raise Refused("is nested too deep") from None


class Section:
    """A mapping of the file: each field is read by its type."""

    def __init__(self, name: str, value: object, fields: Collection[str] | None = None) -> None:
        """``fields``: that it may have; None: any. Raises `Refused`, as all here do."""
        if value in (None, ""):
            value = {}
        if not isinstance(value, dict):
            raise Refused(f"{name or 'the document'}: expected fields, each NAME: VALUE")
        self._name = name
        self._values = value
        for each in value:
            if fields is not None and each not in fields:
                raise self.refuse(each, "no such field")

    def __bool__(self) -> bool:
        return bool(self._values)

    def path(self, name: str) -> str:
        name = _shown(name)
        return f"{self._name}.{name}" if self._name else name

    def refuse(self, name: str, words: str) -> Refused:
        return Refused(f"{self.path(name)}: {words}")

    def section(self, name: str, fields: Collection[str] | None = None) -> Section:
        return Section(self.path(name), self._values.get(name), fields)

    def sections(self, name: str, fields: Collection[str]) -> list[Section]:
        """Return those of a list; each is called NAME[NUMBER]."""
        value = self._values.get(name)
        if value in (None, ""):
            return []
        if not isinstance(value, list):
            raise self.refuse(name, "expected a list")
        return [Section(f"{self.path(name)}[{n}]", each, fields) for n, each in enumerate(value)]

    def text(self, name: str) -> str | None:
        """An empty one is none, as it is for the other exporters."""
        value = self._values.get(name)
        if not isinstance(value, str | None):
            raise self.refuse(name, "expected a text")
        if value and not value.isprintable():
            raise self.refuse(name, "has a character that does not print")
        return value or None

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self._values.get(name)
        if value in (None, ""):
            return None
        if not isinstance(value, list) or not all(_is_text(each) for each in value):
            raise self.refuse(name, "expected a list of texts")
        return tuple(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in TRUE + FALSE:
            raise self.refuse(name, f"{value}: expected true or false")
        return value.lower() in TRUE

    def choice(self, name: str, known: Collection[str], default: str) -> str:
        value = self.text(name) or default
        if value not in known:
            raise self.refuse(name, f"{value}: expected one of {', '.join(known)}")
        return value

    def pairs(self) -> list[tuple[str, str | None]]:
        return [(name, self.text(name)) for name in self._values]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _shown(name: str) -> str:
    """On one line, and to be seen."""
    return name if name and name.isprintable() else ascii(name)
