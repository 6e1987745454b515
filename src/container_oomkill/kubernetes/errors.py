# SPDX-License-Identifier: Apache-2.0
"""Why a request to the API failed."""

from __future__ import annotations


class ApiError(Exception):
    """One request that failed; its text is one line.

    ``code``: the HTTP status, None if there was no answer; ``causes``: the API's own words for it;
    ``retry_after``: seconds the server asks for.
    """

    def __init__(
        self,
        words: str,
        code: int | None = None,
        *,
        causes: frozenset[str] = frozenset(),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(words)
        self.code = code
        self.causes = causes
        self.retry_after = retry_after
