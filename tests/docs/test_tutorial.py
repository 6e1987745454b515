# SPDX-License-Identifier: Apache-2.0
"""The tutorial's commands: the same programs for systemd, Docker and kubectl, limited, bounded."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

TEXT = (Path(__file__).parents[2] / "docs/tutorial.md").read_text(encoding="utf-8")
# Indented code, without what a backslash continues.
LINES = [
    line.strip()
    for block in re.findall(r"(?:^    .*\n)+", TEXT, re.MULTILINE)
    for line in re.sub(r"\\\n\s*", "", block).splitlines()
]
SYSTEMD = [shlex.split(line) for line in LINES if line.startswith("sudo systemd-run ")]
DOCKER = [shlex.split(line) for line in LINES if line.startswith("docker run --")]
(MANIFEST,) = re.findall(r"<<'END'\n(.*?)\n    END\n", TEXT, re.DOTALL)
POD = yaml.safe_load(MANIFEST)
PROGRAMS = ("python3", "dd")


def program(words: list[str]) -> list[str]:
    """What is run, behind what runs it."""
    return words[next(n for n, word in enumerate(words) if word in PROGRAMS) :]


def name(words: list[str]) -> str:
    given = [word.removeprefix("--unit=") for word in words if word.startswith("--unit=")]
    return given[0] if given else words[words.index("--name") + 1]


def test_docker_and_systemd_run_the_same() -> None:
    first = {name(words): program(words) for words in reversed(SYSTEMD)}
    of_docker = {name(words): program(words) for words in DOCKER}
    assert {*of_docker} == {"leak", "spike", "tmpfs"}
    assert of_docker == {each: first[each] for each in of_docker}
    in_pod = {each["name"]: each["command"] for each in POD["spec"]["containers"]}
    assert in_pod["cache"] == first["cache"]
    assert in_pod["app"][-1].replace("time.sleep(5); ", "") == first["app"][-1]


@pytest.mark.parametrize("words", [*SYSTEMD, *DOCKER], ids=name)
def test_each_is_limited_and_leaves_no_swap(words: list[str]) -> None:
    if words in DOCKER:
        assert (
            words[words.index("--memory") + 1] == words[words.index("--memory-swap") + 1] == "64m"
        )
    else:
        own = {"MemoryMax=64M", "MemorySwapMax=0"} <= set(words)
        assert own or "--slice=pod.slice" in words  # which has a limit
        assert {"--scope", "--collect"} <= set(words)


@pytest.mark.parametrize("words", [*SYSTEMD, *DOCKER], ids=name)
def test_each_program_compiles_and_is_bounded(words: list[str]) -> None:
    runs = program(words)
    if runs[0] == "python3":
        compile(runs[2], "tutorial", "exec")
        (sizes,) = re.findall(r"range\((\d+)\)", runs[2]) or re.findall(r"(\d+) << 20", runs[2])
        assert int(sizes) <= 200  # MiB
    else:
        assert {"bs=1M", "count=100"} <= set(runs)


def test_the_pod_is_one() -> None:
    kubernetes_validate.validate(POD, "1.34", strict=True)
    assert POD["spec"]["resources"]["limits"]["memory"] == "64Mi"
