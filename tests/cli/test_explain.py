# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill explain`: every next step of `show` can be read up, without the repository."""

from __future__ import annotations

import pytest

from container_oomkill.cli.explain import DOCUMENT, section, topics
from container_oomkill.diagnosis.verdict import RULES
from container_oomkill.errors import UsageError

from ..support import unprivileged

TEXT = DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.advice], ids=lambda rule: rule.name
)
def test_what_show_points_to_is_there(rule: object) -> None:
    name = getattr(rule, "name")  # noqa: B009 - a parameter of any type
    first, _, *lines = section(TEXT, name)
    assert first == name
    assert any(line.startswith("Next: ") for line in lines)
    assert not any(line.startswith("#") or "](" in line for line in lines)


def test_the_command() -> None:
    listed = unprivileged.run("explain")
    assert listed.returncode == 0
    assert listed.stdout.splitlines()[:2] == ["What ran out:", "  sysrq"]
    assert list(topics(TEXT)) == listed.stdout.splitlines()
    done = unprivileged.run("explain", "verdicts.md#Own-Limit")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("own-limit\n\nScope `container`.")
    done = unprivileged.run("explain", "own-limits")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "container-oomkill: no topic 'own-limits': did you mean own-limit?\n"
    with pytest.raises(UsageError, match="`container-oomkill explain` lists them"):
        section(TEXT, "")
