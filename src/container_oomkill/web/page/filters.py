# SPDX-License-Identifier: Apache-2.0
"""What a page's query asks for: which incidents (`sinks.query`, as everywhere), and which page."""

from __future__ import annotations

from ...sinks.query import NAMES, named, parse_page
from ...sinks.query import Query as Filter

__all__ = ["NAMES", "Filter", "named", "parse_page"]
