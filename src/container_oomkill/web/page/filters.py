# SPDX-License-Identifier: Apache-2.0
"""What a page's query asks for: which incidents (`sinks.query`, as everywhere), and which page.

And the form that asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import htpy as h

from ...sinks.printable import printable
from ...sinks.query import Query as Filter
from ...sinks.query import named, parse_page
from .words import SCOPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...incident.model import Incident

__all__ = ["FIELDS", "Filter", "form", "named", "parse_page"]

FIELDS = ("namespace", "pod", "container")  # of the form; a link may have other filters
CHOICES_MAX = 50  # names suggested for each filter
CHOICE_MAX = 80  # characters of one


def form(incidents: Sequence[Incident], wanted: Filter, home: str) -> h.Element:
    """Draw the fields, with the names of ``incidents`` to choose from."""
    names = [named(incident) for incident in incidents]
    return h.form(".filters", action=home, method="get", role="search", aria_label="Incidents")[
        (_field(key, getattr(wanted, key), {each[key] for each in names}) for key in FIELDS),
        h.div(".field")[
            h.label(for_="scope")["scope"],
            h.select("#scope", name="scope")[
                h.option(value="", selected=not wanted.scope)["any"],
                (
                    h.option(value=key, selected=key == wanted.scope)[
                        word if word == key else f"{word} ({key})"
                    ]
                    for key, (_, word) in SCOPES.items()
                ),
            ],
        ],
        # What the form has no field for is kept.
        (
            h.input(type="hidden", name=key, value=value)
            for key, value in wanted.parameters().items()
            if key not in (*FIELDS, "scope")
        ),
        h.div(".field.buttons")[
            h.button(type="submit")["Filter"],
            wanted != Filter() and h.a(href=home)["Clear"],
        ],
    ]


def _field(key: str, value: str, names: set[str | None]) -> h.Element:
    known = sorted(each for each in names if each and len(each) <= CHOICE_MAX)[:CHOICES_MAX]
    return h.div(".field")[
        h.label(for_=key)[key],
        h.input(
            f"#{key}",
            name=key,
            value=value,
            list=f"{key}-known",
            placeholder="any",
            autocomplete="off",
            spellcheck="false",
            autocapitalize="off",
        ),
        h.datalist(f"#{key}-known")[
            (h.option(value=each) for each in known if printable(each) == each)
        ],
    ]
