# SPDX-License-Identifier: Apache-2.0
"""The base class of a command's settings: frozen, keyword-only, compared by value.

`dataclasses` does the same but takes 15 ms to import, and settings are needed before the hooks are
attached: everything else that attaching imports takes 35 ms (python -X importtime).
"""

from __future__ import annotations

from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, dataclass_transform
else:

    def dataclass_transform(**_):
        """Tell a type checker; `typing` takes 5 ms."""
        return lambda decorated: decorated


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Settings(SimpleNamespace):
    """Subclasses annotate their fields, and may give them defaults. `TypeError` for any other."""

    if not TYPE_CHECKING:

        def __init__(self, **given: Any) -> None:
            fields = type(self).__annotations__
            given = {name: it for name, it in vars(type(self)).items() if name in fields} | given
            if wrong := given.keys() ^ fields:
                names = ", ".join(sorted(wrong))
                raise TypeError(f"{type(self).__name__}: unknown or missing: {names}")
            super().__init__(**given)

    def __setattr__(self, name: str, _: object) -> NoReturn:
        raise AttributeError(f"{name} of {type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name} of {type(self).__name__} is frozen")
