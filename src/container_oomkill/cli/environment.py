# SPDX-License-Identifier: Apache-2.0
"""Options from the environment: ``--ring-bytes`` as CONTAINER_OOMKILL_RING_BYTES.

Dots and hyphens become underscores, several values are separated by commas. The command line takes
precedence.
"""

from __future__ import annotations

from ..errors import UsageError
from .noted_options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action
    from collections.abc import Callable, Iterable, Mapping, Sequence


PREFIX = "CONTAINER_OOMKILL_"
TRUE = ("1", "true", "yes", "on")
FALSE = ("", "0", "false", "no", "off")
# `show --node`: that variable says what the exporter's own node is called, and `docker exec` runs
# `show` with the exporter's variables.
WITHOUT = ("filter_node",)
HELP = f"""\
environment:
  Each option can be set by a variable: --some.option-name by {PREFIX}SOME_OPTION_NAME.
  Separate several values by commas. The command line takes precedence.
"""


def variable_of(option: str) -> str:
    """Return the variable of a long option."""
    return PREFIX + option.removeprefix("--").replace("-", "_").replace(".", "_").upper()


def variables_of(
    actions: Iterable[Action] | Iterable[Option],
) -> dict[str, tuple[str, Action | Option]]:
    """Return the variables that a command with these options reads, each with its option."""
    found = {}
    for action in actions:
        option = next((each for each in action.option_strings if each.startswith("--")), None)
        if option is not None and option != "--help" and action.dest not in WITHOUT:
            found[variable_of(option)] = option, action
    return found


def arguments_from(
    actions: Iterable[Action] | Iterable[Option], environ: Mapping[str, str], argv: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Return what the environment sets and ``argv`` does not, and the variable of each option."""
    given: list[str] = []
    variables = {}
    for name, (option, action) in variables_of(actions).items():
        if (value := environ.get(name)) is None:
            continue
        if any(each.partition("=")[0] in action.option_strings for each in argv):
            continue  # would be one more, where an option is repeatable
        variables[option] = name
        switched = value.lower() in TRUE + FALSE
        if action.nargs == 0 or (action.nargs == "?" and switched):
            if not switched:
                raise UsageError(f"{name}={value}: expected true or false")
            given += [option] if value.lower() in TRUE else []
        elif _is_repeatable(action):
            given += [f"{option}={each.strip()}" for each in value.split(",") if each.strip()]
        else:
            given.append(f"{option}={value}")
    return given, variables


def _is_repeatable(action: Action | Option) -> bool:
    if isinstance(action, Option):
        return action.repeatable
    import argparse

    return isinstance(action, argparse._AppendAction)


def refuse_unknown(
    environ: Mapping[str, str], known: Iterable[str], others: Callable[[], Iterable[str]]
) -> None:
    """Raise `UsageError` for a variable with our prefix that no option of any command has.

    ``known``: those of the command that runs; ``others``: of all commands, asked for only if need
    be. One environment may be for several commands.
    """
    known = set(known)
    strange = [name for name in environ if name.startswith(PREFIX) and name not in known]
    if not strange:
        return
    known.update(others())
    for name in sorted(strange):
        if name not in known and not _is_of_a_service(name, environ):
            raise UsageError(f"{name}: no such option: {_advice(name, known)}")


def _is_of_a_service(name: str, environ: Mapping[str, str]) -> bool:
    """Whether Kubernetes has set it, for a Service whose name begins like ours does."""
    end = "_SERVICE_HOST"
    services = (each.removesuffix(end) for each in environ if each.endswith(end))
    return any(name.startswith((f"{each}_SERVICE_", f"{each}_PORT")) for each in services)


def _advice(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    words = {each.removeprefix(PREFIX): each for each in known}
    for near in get_close_matches(name.removeprefix(PREFIX), words, n=1):
        return f"did you mean {words[near]}?"
    return f"unset it: the prefix {PREFIX} is reserved for options"


def as_given(message: str, variables: Mapping[str, str]) -> str:
    """Return a message that names an option with the variable in its place, if it came from one."""
    import re

    for option, variable in variables.items():
        message = re.sub(rf"(argument )?(-\w/)?{re.escape(option)}(?![\w.-])", variable, message)
    return message
