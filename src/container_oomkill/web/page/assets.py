# SPDX-License-Identifier: Apache-2.0
"""Serves the style sheet, the script and the icon, cacheable for good.

The name in a link contains a hash of the file's content: a new version has a new name.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from ..http.request import Request
from ..http.response import Response, text

PREFIX = "/assets/"
FOLDER = Path(__file__).with_name("assets")
TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class Assets:
    """Reads them once, when made."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._files: dict[str, tuple[bytes, list[tuple[str, str]]]] = {}
        for name, kind in TYPES.items():
            data = (FOLDER / name).read_bytes()
            mark = f"{zlib.crc32(data):08x}"  # against old copies, not against malice
            stem, _, end = name.partition(".")
            path = f"{PREFIX}{stem}-{mark}.{end}"
            self._paths[name] = path
            self._files[path] = (
                data,
                [
                    ("Content-Type", kind),
                    ("Cache-Control", "private, max-age=31536000, immutable"),
                    ("ETag", f'"{mark}"'),
                ],
            )

    def path(self, name: str) -> str:
        """Return where a page finds the file."""
        return self._paths[name]

    def __call__(self, request: Request) -> Response:
        found = self._files.get(request.path)
        if found is None:
            return text(404, "not found")
        data, headers = found
        etag = dict(headers)["ETag"]
        if etag in request.header("if-none-match"):
            return Response(304, b"", headers)
        return Response(200, data, headers)
