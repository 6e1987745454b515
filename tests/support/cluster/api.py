# SPDX-License-Identifier: Apache-2.0
"""Takes paths, gives what a real Kubernetes API answers."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import urllib3

MERGE = "application/strategic-merge-patch+json"
CONNECTIONS = 16
Object = dict[str, Any]


class Api:
    """One user of an API server."""

    def __init__(self, server: str, authority: Path, token: str) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pool = urllib3.PoolManager(
            ca_certs=str(authority), retries=False, maxsize=CONNECTIONS
        )

    def request(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """Return status and answer; raises urllib3's errors where nobody answers."""
        answer = self._pool.request(
            method,
            self._server + path,
            body=None if body is None else json.dumps(body),
            headers={**self._headers, "Content-Type": kind},
            timeout=120,
        )
        text = answer.data.decode()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def __call__(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        status, answer = self.request(method, path, body, kind)
        assert status < 300, (method, path, status, answer)
        found: Object = answer
        return found

    def get(self, path: str) -> Object:
        return self("GET", path)

    def items(self, path: str) -> list[Object]:
        found: list[Object] = self.get(path)["items"]
        return found

    def find(self, path: str) -> Object | None:
        """The object, if there is one."""
        status, answer = self.request("GET", path)
        assert status in (200, 404), (path, status, answer)
        return answer if status == 200 else None

    def patch(self, path: str, change: Object) -> Object:
        return self("PATCH", path, change, MERGE)

    def text(self, path: str) -> str | None:
        """What it says, whatever that is; None: nobody answers."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return str(self.request("GET", path)[1])
        return None
