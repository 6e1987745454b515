# SPDX-License-Identifier: Apache-2.0
"""Provokes real kills in containers of our images, and runs exporters that record them."""

from __future__ import annotations

import urllib.request

from .engine import EXPORTER, Docker

PYTHON = ("--entrypoint", "/usr/bin/python3.13")
# 8 MiB at a time up to 256, so that a limit that does not hold is no harm.
HOG = """
import time
held = []
for _ in range(32):
    held.append(b"x" * (8 << 20))
    time.sleep(0.05)
"""


def kill(docker: Docker, name: str) -> None:
    """Run a hog of 64 MiB until the kernel kills it."""
    limits = ("--memory=64m", "--memory-swap=64m", "--network=none")
    docker.start(name, *limits, *PYTHON, EXPORTER, "-IS", "-c", HOG)
    assert docker("wait", name).strip() == "137"


def start_exporter(
    docker: Docker, name: str, *arguments: str, options: tuple[str, ...] = ()
) -> int:
    """On the loopback interface of this machine, at a port of its own choice."""
    given = (*docker.privileges(), "--network=host", *options)
    listen = ("exporter", "--web.listen-address", "127.0.0.1:0")
    docker.start(name, *given, EXPORTER, *listen, *arguments)
    said = docker.wait_for(name, "listening on")
    return int(said.partition("listening on ")[2].split()[0].rpartition(":")[2])


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def sample(port: int, metric: str, container: str) -> str | None:
    lines = get(port, "/metrics").splitlines()
    mine = [line for line in lines if line.startswith(f"{metric}{{") and f'"{container}"' in line]
    return next((line for line in mine if not line.endswith((" 0", " 0.0"))), None)
