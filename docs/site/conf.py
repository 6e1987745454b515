# SPDX-License-Identifier: Apache-2.0
"""Builds the documentation as a site: `make docs`. The index is docs/README.md, as on the forge.

Sphinx reads these names: https://www.sphinx-doc.org/en/master/usage/configuration.html
"""

from __future__ import annotations

import re
from importlib.metadata import version as installed

from sphinx.application import Sphinx

project = "container-oomkill"
release = installed(project)
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
myst_fence_as_directive = ["mermaid"]
root_doc = "README"
exclude_patterns = ["site"]
html_theme = "furo"
html_title = f"{project} {release}"
html_extra_path = ["index.html"]  # beside this file
html_copy_source = False
smartquotes = False  # an option begins with two hyphens
templates_path: list[str] = []
myst_heading_anchors = 4  # links to headings, as the forge makes them

PAGE = re.compile(r"\]\(([a-z0-9-]+)\.md\)")
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")  # of docs/: it is in the sources only


def prepare(_: Sphinx, name: str, source: list[str]) -> None:
    """Name what lies outside of the site; give the index its pages, in the order it links them."""
    source[0] = OUTSIDE.sub(r"\1 (`\2`)", source[0])
    if name == root_doc:
        pages = list(dict.fromkeys(PAGE.findall(source[0])))
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", "", *pages, "```", ""])
    elif name == "alerts":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\nrunbooks/*\n```\n"


def setup(app: Sphinx) -> None:
    app.connect("source-read", prepare)
