# SPDX-License-Identifier: Apache-2.0
"""Runs a credential plugin of a kubeconfig, as EKS, GKE and AKS have them, and keeps its answer.

The plugin's end of it: client.authentication.k8s.io/v1 and v1beta1, an ExecCredential in
$KUBERNETES_EXEC_INFO and one on standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import Error, UsageError
from ..identity.metadata import mapping

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
SECONDS, INTERACTIVE_SECONDS = 30.0, 300.0  # with whoever has to log in by a browser
EARLY_SECONDS = 10.0  # before a token expires
WORDS_MAX = 300


@dataclass(slots=True)
class ExecPlugin:
    """One plugin; `token` is for several threads, which wait for one run."""

    command: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    version: str
    cluster: Mapping[str, Any] | None
    hint: str
    interactive: bool
    where: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _status: Mapping[str, Any] = field(default_factory=dict)
    _until: float = 0.0

    @classmethod
    def of(
        cls,
        spec: Mapping[str, Any],
        folder: Path,
        cluster: Mapping[str, Any],
        environ: Mapping[str, str],
        where: str,
    ) -> ExecPlugin:
        """Take a user's ``exec``. Raises `UsageError`."""
        command, version = spec.get("command"), spec.get("apiVersion")
        if not isinstance(command, str) or not command:
            raise UsageError(f"{where}: exec: command is missing")
        if version not in VERSIONS:
            raise UsageError(
                f"{where}: exec: apiVersion {version!r} is not {' or '.join(VERSIONS)}"
            )
        if os.sep in command:
            command = str(folder / command)
        arguments, more = spec.get("args") or [], spec.get("env") or []
        if not isinstance(arguments, list) or not isinstance(more, list):
            raise UsageError(f"{where}: exec: args and env are lists")
        mode = spec.get("interactiveMode") or "IfAvailable"
        interactive = mode != "Never" and sys.stdin is not None and sys.stdin.isatty()
        if mode == "Always" and not interactive:
            raise UsageError(f"{where}: exec: {command} needs a terminal to log in")
        return cls(
            command=command,
            arguments=tuple(map(str, arguments)),
            environ={
                **environ,
                **{
                    str(mapping(each).get("name")): str(mapping(each).get("value")) for each in more
                },
            },
            version=version,
            cluster=cluster if spec.get("provideClusterInfo") is True else None,
            hint=str(spec.get("installHint") or ""),
            interactive=interactive,
            where=where,
        )

    def token(self) -> str | None:
        """Return a token that has not expired. Raises `Error` with the plugin's own words."""
        token = self._current().get("token")
        return token if isinstance(token, str) else None

    def certificate(self) -> tuple[bytes, bytes] | tuple[None, None]:
        """Return certificate and key, PEM, if it has given these."""
        status = self._current()
        cert, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if isinstance(cert, str) and isinstance(key, str):
            return cert.encode(), key.encode()
        return None, None

    def _current(self) -> Mapping[str, Any]:
        with self._lock:
            if not self._status or time.time() >= self._until - EARLY_SECONDS:
                self._status, self._until = self._run()
            return self._status

    def _run(self) -> tuple[Mapping[str, Any], float]:
        info: dict[str, Any] = {"interactive": self.interactive}
        if self.cluster is not None:
            info["cluster"] = self.cluster
        asked = {"kind": "ExecCredential", "apiVersion": self.version, "spec": info}
        try:
            status, answer, words = self._finished(json.dumps(asked))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            hint = f": {' '.join(self.hint.split())[:WORDS_MAX]}" if self.hint else ""
            raise UsageError(f"{self._about()}: {why}{hint}") from None
        if status != 0:
            why = b" ".join((words or b"").split()).decode(errors="replace")[:WORDS_MAX]
            raise Error(f"{self._about()}: exit status {status}: {why}")
        return self._understood(answer)

    def _finished(self, info: str) -> tuple[int, bytes, bytes | None]:
        """Return its exit status, its answer, and its words where nobody at a terminal saw them."""
        seconds = INTERACTIVE_SECONDS if self.interactive else SECONDS
        with subprocess.Popen(  # noqa: S603 - the user's own kubeconfig names it
            [self.command, *self.arguments],
            stdin=None if self.interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if self.interactive else subprocess.PIPE,
            env={**self.environ, "KUBERNETES_EXEC_INFO": info},
        ) as process:
            try:
                answer, words = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Error(f"{self._about()}: no answer in {seconds:.0f} s") from None
        return process.returncode, answer, words

    def _understood(self, answer: bytes) -> tuple[Mapping[str, Any], float]:
        try:
            credential = mapping(json.loads(answer))
        except (ValueError, RecursionError):
            raise Error(f"{self._about()}: its answer is not JSON") from None
        status = mapping(credential.get("status"))
        if not status.get("token") and not status.get("clientCertificateData"):
            raise Error(f"{self._about()}: its answer has neither a token nor a certificate")
        until = status.get("expirationTimestamp")
        if not isinstance(until, str):
            return status, float("inf")
        try:
            return status, datetime.fromisoformat(until).timestamp()
        except ValueError:
            raise Error(f"{self._about()}: expirationTimestamp {until[:40]!r} is no time") from None

    def _about(self) -> str:
        return f"{self.where}: credential plugin {self.command}"


def _variables(entries: Iterable[object]) -> dict[str, str]:
    named = (mapping(entry) for entry in entries)
    return {str(each["name"]): str(each.get("value") or "") for each in named if each.get("name")}
