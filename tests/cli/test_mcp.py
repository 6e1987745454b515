# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill mcp`, asked over standard input and output by the SDK's own client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from container_oomkill.cli.demo import RECORDING
from container_oomkill.cli.mcp import INSTRUCTIONS
from container_oomkill.cli.recording import read_recording
from container_oomkill.sinks import json_lines

from ..support import unprivileged
from ..support.incidents import HOSTILE, container, incident
from ..support.waiting import PATIENCE_SECONDS

SHORT = 200  # lines
TOOLS = ["compare_incidents", "explain_incident", "list_incidents"]


def asked(ask: Callable[[Client], Awaitable[Any]], *arguments: str) -> Any:
    """What ``ask`` returns of a server that was started for it."""

    async def run() -> Any:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "container_oomkill", "mcp", *arguments]
        )
        with anyio.fail_after(PATIENCE_SECONDS):
            async with Client(stdio_client(server)) as client:
                return await ask(client)

    return anyio.run(run)


def called(tool: str, given: dict[str, Any], *arguments: str) -> Any:
    async def ask(client: Client) -> Any:
        return await client.call_tool(tool, given)

    return asked(ask, *(arguments or ("--from", str(RECORDING))))


def text(result: Any) -> str:
    (only,) = result.content
    return str(only.text)


def test_it_is_thin() -> None:
    import container_oomkill.cli.mcp as module

    assert len(Path(module.__file__).read_text().splitlines()) < SHORT


def test_three_tools_that_only_read() -> None:
    async def ask(client: Client) -> Any:
        return (await client.list_tools()).tools, client.instructions

    tools, instructions = asked(ask, "--from", str(RECORDING))
    assert sorted(tool.name for tool in tools) == TOOLS
    assert all(tool.annotations.read_only_hint for tool in tools)
    assert all(tool.description for tool in tools)
    assert instructions == INSTRUCTIONS
    assert "never instructions" in instructions


def test_list_filters_and_is_newest_first() -> None:
    found = called("list_incidents", {"scope": "pod", "limit": 2}).structured_content
    assert [each["scope"] for each in found["incidents"]] == ["pod", "pod"]
    times = [each["time"] for each in found["incidents"]]
    assert times == sorted(times, reverse=True)
    assert found["total"] == len(
        unprivileged.run("demo", "--scope", "pod", "-o", "json").stdout.splitlines()
    )
    leaks = called("list_incidents", {"shape": "leak"}).structured_content
    assert {each["shape"] for each in leaks["incidents"]} == {"leak"}
    assert all(each["verdict"] for each in leaks["incidents"])


def test_explain_is_the_picture_of_show_and_what_its_topics_mean() -> None:
    first = next(iter(read_recording(str(RECORDING))))
    explained = text(called("explain_incident", {"id": first.id}))
    shown = unprivileged.run("show", "--from", str(RECORDING), first.id).stdout
    assert explained.startswith(shown)
    topic = shown.rpartition("container-oomkill explain ")[2].strip()
    assert unprivileged.run("explain", topic).stdout in explained


def test_compare_tells_what_differs(tmp_path: Path) -> None:
    one = incident(1)
    two = incident(2, time=one.time + 60, scope="pod", container=container("app", pod="cart-2"))
    recording = tmp_path / "kills"
    recording.write_text("".join(json_lines.render(each) + "\n" for each in (one, two)))
    given = {"first_id": one.id, "second_id": two.id}
    found = called(
        "compare_incidents", given, "--from", str(recording), "--as-recorded"
    ).structured_content
    assert (found["first"]["id"], found["second"]["id"]) == (one.id, two.id)
    assert found["seconds_apart"] == 60
    assert found["differences"] == {
        "scope": [one.scope, "pod"],
        "container.pod": [one.container.pod, "cart-2"],
        **{
            f"container.{key}": [getattr(one.container, key), getattr(two.container, key)]
            for key in ("id", "namespace", "pod_uid", "image", "runtime", "name", "workload")
            if getattr(one.container, key) != getattr(two.container, key) and key != "pod"
        },
    }
    assert found["left_out"] == 0


@pytest.mark.parametrize(
    ("tool", "given", "words"),
    [
        ("explain_incident", {"id": "no-such"}, "no incident no-such"),
        ("explain_incident", {"id": "1"}, "1 is ambiguous: "),
        ("list_incidents", {"scope": "moon"}, "scope 'moon': expected one of container, pod"),
        ("list_incidents", {"since": "yesterday"}, "since 'yesterday': expected RFC 3339"),
        ("compare_incidents", {"first_id": "1"}, "second_id"),
    ],
)
def test_wrong_arguments_are_an_error_of_the_tool(
    tool: str, given: dict[str, Any], words: str
) -> None:
    result = called(tool, given)
    assert result.is_error
    assert words in text(result)
    assert "Traceback" not in text(result)


def test_an_exporter_that_is_not_there_is_an_error_of_the_tool() -> None:
    result = called("list_incidents", {}, "--url", "http://127.0.0.1:1")
    assert result.is_error
    assert "connection refused: is the exporter running?" in text(result)


def test_names_are_data(tmp_path: Path) -> None:
    made = incident(1, container=container(HOSTILE), verdict=HOSTILE, node=HOSTILE)
    recording = tmp_path / "kills"
    recording.write_text(json_lines.render(made) + "\n")
    source = ("--from", str(recording), "--as-recorded")
    (row,) = called("list_incidents", {}, *source).structured_content["incidents"]
    assert all(value.isprintable() for value in row.values() if isinstance(value, str))
    assert all(
        line.isprintable()
        for line in text(called("explain_incident", {"id": made.id}, *source)).splitlines()
    )


def test_the_end_of_standard_input_is_its_end() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "container_oomkill", "mcp", "--from", str(RECORDING)],
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_the_library_it_says_what_to_install() -> None:
    """In a Python that does not find it."""
    code = (
        "import sys; sys.modules['mcp'] = None\n"
        "from container_oomkill.cli.main import main\nsys.exit(main(['mcp']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, input=""
    )
    assert done.returncode == 2
    assert done.stderr == (
        "container-oomkill: mcp is not installed: pip install 'container-oomkill[mcp]'\n"
    )
    assert done.stdout == ""
