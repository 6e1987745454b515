# SPDX-License-Identifier: Apache-2.0
"""Fuzzes one target, as libFuzzer's options say: python -m tests.fuzz.one TARGET [OPTIONS]."""

from __future__ import annotations

import sys

import atheris

from .mutation import mutate

with atheris.instrument_imports(include=["container_oomkill"]):
    from .targets import TARGETS

JSON = ("record", "history", "state", "large_state", "engine", "kubernetes")


def main() -> None:
    name, *options = sys.argv[1:]
    mutator = {"custom_mutator": mutate} if name in JSON else {}
    atheris.Setup([sys.argv[0], *options], TARGETS[name], **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
