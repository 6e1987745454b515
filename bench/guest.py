# SPDX-License-Identifier: Apache-2.0
"""Runs bench.work in a guest and returns what every tool did there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.chaos import killing
from tests.support.kernel.processes import compile_hog
from tests.vm import guest, packages, table
from tests.vm.errors import VmError

from . import peers
from .install import install

SHARE = Path("build/bench")
OURS = {
    "probe, fentry": ("probe", "--hook=fentry", "--output=json"),
    "probe, kprobe": ("probe", "--hook=kprobe", "--output=json"),
    "probe, raw_tracepoint": ("probe", "--hook=raw_tracepoint", "--output=json"),
    "exporter, fentry": (
        "exporter",
        "--hook=fentry",
        "--log.incidents=json",
        "--web.listen-address=127.0.0.1:9262",
    ),
}
ONLY_ATTACHED = ("probe, kprobe", "probe, raw_tracepoint")  # the rest of them is the same


@dataclass(frozen=True)
class Effort:
    """How often each thing is done."""

    rounds: int = 7
    kills: int = 20
    storm: int = 300


def measure(name: str, effort: Effort) -> dict[str, Any]:
    """The result, with what every tool takes on disk, and those that are missing with the reason.

    Raises VmError.
    """
    SHARE.mkdir(parents=True, exist_ok=True)
    (spec,) = table.choose(name)
    (kernel,) = packages.ensure((spec,))
    found, headers = peers.find(spec, kernel)
    python = install(SHARE / "venv")
    ours = (peers.closure_bytes("python3"), _size(python.parent.parent / "lib"))
    tools: list[dict[str, object]] = [
        {"name": peer.name, "argv": peer.argv, "sign": None, "slow": peer.slow, "works": True}
        for peer in found
        if not peer.missing
    ]
    tools += [
        {
            "name": tool,
            "argv": [str(python.with_name("container-oomkill")), *options],
            "sign": "attached with",
            "slow": False,
            "works": tool not in ONLY_ATTACHED,
        }
        for tool, options in OURS.items()
    ]
    plan, result = SHARE / "plan.json", SHARE / "result.json"
    plan.write_text(
        json.dumps(
            {
                "tools": tools,
                "headers": str(headers) if headers else None,
                "hog": str(compile_hog(SHARE.resolve() / "hog")),
                "killer": str(killing.program(SHARE.resolve())),
                "rounds": effort.rounds,
                "kills": effort.kills,
                "storm": effort.storm,
            }
        )
    )
    result.unlink(missing_ok=True)
    command = [str(python), "-m", "bench.work", str(plan.resolve()), str(result.resolve())]
    ended = guest.run(kernel, command, share=SHARE, timeout=3600, memory="3G")
    if ended.returncode:
        raise VmError(ended.output)
    done = json.loads(result.read_text())
    measured = {tool: figures for tool, figures in done.items() if "failed" not in figures}
    missing = {peer.name: peer.missing for peer in found if peer.missing}
    missing |= {tool: done[tool]["failed"] for tool in done.keys() - measured.keys()}
    if failed := OURS.keys() & missing.keys():
        raise VmError("; ".join(f"{tool}: {missing[tool]}" for tool in sorted(failed)))
    for peer in found:
        if peer.name in measured:
            measured[peer.name]["disk_bytes"] = peer.disk_bytes
    for tool in OURS.keys() & measured.keys():
        measured[tool]["disk_bytes"] = sum(ours)
    return {
        "kernel": kernel.release,
        "effort": vars(effort),
        "tools": measured,
        "missing": missing | peers.NOT_MEASURED,
    }


def _size(folder: Path) -> int:
    """Bytes of an environment, less the installers that a user's image does not keep."""
    installers = ("pip", "setuptools")
    return sum(
        each.stat().st_size
        for each in folder.rglob("*")
        if each.is_file() and not any(part.startswith(installers) for part in each.parts)
    )
