# SPDX-License-Identifier: Apache-2.0
"""Options from the command line and the environment; what is refused, and how."""

from __future__ import annotations

import pytest

from container_oomkill.arguments import parse
from container_oomkill.errors import UsageError


def test_defaults() -> None:
    args = parse(["probe"], {})
    assert (args.command, args.output, args.count, args.hook) == ("probe", "text", None, None)
    assert args.ring_bytes == 1 << 20


def test_environment_is_used_and_the_command_line_wins() -> None:
    environ = {
        "CONTAINER_OOMKILL_OUTPUT": "json",
        "CONTAINER_OOMKILL_RING_BYTES": "8192",
        "CONTAINER_OOMKILL_VERBOSE": "yes",
        "CONTAINER_OOMKILL_UNRELATED": "x",
    }
    args = parse(["probe", "-o", "logfmt"], environ)
    assert args.output == "logfmt"
    assert args.ring_bytes == 8192
    assert args.verbose is True
    assert parse(["probe"], {"CONTAINER_OOMKILL_VERBOSE": "0"}).verbose is False


@pytest.mark.parametrize(
    ("argv", "environ", "words"),
    [
        ([], {}, "COMMAND"),
        (["prob"], {}, "invalid choice: 'prob'"),
        (["probe", "--cout", "1"], {}, "unrecognized arguments: --cout"),
        (["probe", "--count", "0"], {}, "--count: invalid whole number above 0 value: '0'"),
        (["probe", "--count", "many"], {}, "--count"),
        (["probe", "-o", "yaml"], {}, "invalid choice: 'yaml'"),
        (["probe", "--hook", "uprobe"], {}, "invalid choice: 'uprobe'"),
        (["probe", "--ring-bytes", "5000"], {}, "5000 is no power of two"),
        (["replay"], {}, "FILE"),
        (["probe"], {"CONTAINER_OOMKILL_OUTPUT": "yaml"}, "invalid choice: 'yaml'"),
        (["probe"], {"CONTAINER_OOMKILL_VERBOSE": "perhaps"}, "expected true or false"),
    ],
)
def test_wrong_usage_is_one_line(argv: list[str], environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(argv, environ)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_status == 2
