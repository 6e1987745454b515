# SPDX-License-Identifier: Apache-2.0
"""A message's body: a JSON document with ``${FIELD}`` in its texts.

It is no template language: there is nothing to execute, no condition and no loop. And it is not
text: the document is decoded first, then each text in it is filled in, then it is encoded again. So
whatever a container is called, the body stays JSON and gets no field that the template does not
have. `string.Template` would fill in text, where a quote in a name ends a string.

    ${FIELD}        in a text; "unknown" where it is not known
    ${slack:FIELD}  the same, and no link, mention or channel in Slack's mrkdwn
    ${json:FIELD}   alone: the value itself, a number or an object; left out where it is not known
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..sinks.printable import printable

BYTES_MAX = 64 << 10
PLACE = re.compile(r"\$\{(?:(?P<form>[a-z]+):)?(?P<field>[^}]*)\}")
SHIPPED = ("alertmanager", "generic", "pagerduty", "slack")
FOLDER = Path(__file__).with_name("assets")
UNKNOWN = "unknown"
SLACK = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # all that Slack asks to be escaped
LEFT_OUT = object()


class Template:
    """``fields``: that it may name. Raises `UsageError`, without the file's name."""

    def __init__(self, text: bytes, fields: Collection[str]) -> None:
        try:
            self._document = json.loads(text.decode())
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not JSON: {error}") from None
        if not isinstance(self._document, dict | list):
            raise UsageError("expected an object or a list")
        self._fields = fields
        _each_text(self._document, self._check)

    def _check(self, text: str) -> None:
        for place in PLACE.finditer(text):
            form, field = place["form"], place["field"]
            if form not in (None, "json", "slack"):
                raise UsageError(f"{place[0]}: {form}: expected json or slack")
            if form == "json" and place[0] != text:
                raise UsageError(f"{place[0]}: is a whole value: nothing may stand beside it")
            if field not in self._fields:
                raise UsageError(f"{place[0]}: no such field: docs/webhook.md has the list")

    def body(self, values: Mapping[str, Any]) -> bytes:
        """Return it with these values; one that is None is unknown."""
        return json.dumps(_filled(self._document, values), separators=(",", ":")).encode()


def read_template(path: Path, fields: Collection[str]) -> Template:
    """Raises `UsageError`, with the file's name."""
    try:
        with path.open("rb") as file:
            text = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if len(text) > BYTES_MAX:
        raise UsageError(f"{path}: larger than 64 KiB")
    try:
        return Template(text, fields)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def shipped(name: str) -> Path:
    return FOLDER / f"{name}.json"


def _each_text(part: Any, look: Any) -> None:
    if isinstance(part, str):
        look(part)
    elif isinstance(part, dict):
        for name, value in part.items():
            if PLACE.search(name):
                raise UsageError(f"{name}: a field's name cannot be filled in")
            _each_text(value, look)
    elif isinstance(part, list):
        for value in part:
            _each_text(value, look)


def _filled(part: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(part, str):
        whole = PLACE.fullmatch(part)
        if whole is not None and whole["form"] == "json":
            value = values.get(whole["field"])
            return LEFT_OUT if value is None else value
        return PLACE.sub(lambda place: _text(place, values), part)
    if isinstance(part, dict):
        filled = {name: _filled(value, values) for name, value in part.items()}
        return {name: value for name, value in filled.items() if value is not LEFT_OUT}
    if isinstance(part, list):
        return [value for each in part if (value := _filled(each, values)) is not LEFT_OUT]
    return part


def _text(place: re.Match[str], values: Mapping[str, Any]) -> str:
    value = values.get(place["field"])
    if value is None:
        return UNKNOWN
    text = printable(value if isinstance(value, str) else json.dumps(value))
    if place["form"] == "slack":
        text = "".join(SLACK.get(char, char) for char in text)
    return text
