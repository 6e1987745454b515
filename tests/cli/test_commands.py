# SPDX-License-Identifier: Apache-2.0
"""Whole commands, without privileges: what they import, answer and end with."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from container_oomkill.cli.options import COMMANDS
from container_oomkill.diagnosis.verdict import explain
from container_oomkill.sinks import json_lines

from ..support import unprivileged
from ..support.commands import imported
from ..support.incidents import incident

TOOLS = Path(__file__).parents[2] / "tools"
IN_IMAGES = {"_cffi_backend", "elftools", "htpy", "markupsafe", "msgspec", "prometheus_client",
             "typing_extensions", "urllib3", "yaml"}  # fmt: skip


def test_nothing_but_the_loader_is_imported_before_attaching() -> None:
    for argv in (["probe", "--pin"], ["probe", "-o", "json"]):  # --pin: where there is a bpf fs
        ours = {each for each in imported(*argv) if each.startswith("container_oomkill.")}
        folders = {each.split(".")[1] for each in ours}
        needed = {"cli", "errors", "incident", "killers", "libbpf", "probe", "recorder", "system"}
        assert folders <= needed
    heavy = {"dataclasses", "typing", "pathlib", "json", "threading", "contextlib", "signal"}
    heavy |= {"prometheus_client", "ssl", "http.client", "htpy"}
    assert not heavy & imported("probe", "--pin")
    assert not heavy & imported("exporter", "--pin")
    heavy |= {"argparse", "re", "enum", "collections", "functools"}
    assert not heavy & imported("probe", "--hook", "kprobe", "-o", "json")
    assert not heavy & imported("exporter", "--web.listen-address", ":9262", "--history=/x")


@pytest.mark.parametrize(
    "later",
    [
        "prometheus_client",  # at the first scrape
        "container_oomkill.pipeline",  # records wait in the ring
        "container_oomkill.incident.model",  # and with it 36 dataclasses, which take 25 ms to make
        "container_oomkill.incident.before",
        "container_oomkill.incident.node_memory",
        "container_oomkill.diagnosis.verdict",
        "container_oomkill.diagnosis.shape",
        "container_oomkill.sinks.text",
    ],
)
def test_what_serving_does_not_need_is_imported_after_it(later: str) -> None:
    code = (
        "import sys; from container_oomkill.cli import exporter_parts;"
        "from container_oomkill.metrics import metrics; from container_oomkill.web import routes;"
        "from container_oomkill.history import history, kills, stuck;"
        "from container_oomkill.identity import discovery;"
        f"assert not [each for each in sys.modules if each.startswith('{later}')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# What belongs to one command, and costs memory and time wherever else it is imported.
OF_ONE_COMMAND = {
    "container_oomkill.fleet": None,
    "container_oomkill.cli.kubectl": None,
    "container_oomkill.cli.mcp": "mcp",
    "container_oomkill.cli.schema": "schema",
    "container_oomkill.sinks.schema": "schema",
    "container_oomkill.symbols": "symbolize",
    "container_oomkill.kubernetes.kubeconfig": None,
    "container_oomkill.kubernetes.exec_plugin": None,
    "mcp": "mcp",
    "urllib3": None,
    "msgspec": None,
    "yaml": None,
}
RUN = """
import sys
from container_oomkill.cli.main import main
status = main(sys.argv[1:])
# What the exporter and its pages import beyond that.
import container_oomkill.cli.exporter_parts, container_oomkill.exporter.exporter
import container_oomkill.web.page.views
with open(0, "w") as out:
    print(*sys.modules, file=out)
"""


@pytest.mark.parametrize("argv", [["demo"], ["demo", "-o", "json"], ["schema"], ["--help"]])
def test_what_belongs_to_one_command_is_imported_by_no_other(
    argv: list[str], tmp_path: Path
) -> None:
    listed = tmp_path / "modules"
    listed.touch()
    with listed.open("r+") as found:
        command = [sys.executable, "-c", RUN, *argv]
        subprocess.run(command, check=True, stdin=found, stdout=subprocess.DEVNULL)
    modules = listed.read_text().split()
    assert "container_oomkill.web.page.views" in modules
    strange = {
        name
        for name, command in OF_ONE_COMMAND.items()
        if command not in argv and any(f"{each}.".startswith(f"{name}.") for each in modules)
    }
    assert strange == set()


def test_a_command_that_an_image_lacks_is_one_line() -> None:
    """As `container-oomkill show` in the image of the probe."""
    code = (
        "import sys; sys.modules['container_oomkill.cli.show'] = None\n"
        "from container_oomkill.cli.main import main\nsys.exit(main(['show']))"
    )
    done = unprivileged.python("-c", code)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "this image has no show: container-oomkill-exporter has what reads" in done.stderr


def test_a_module_that_is_missing_while_it_runs_is_one_line(tmp_path: Path) -> None:
    """As after half an upgrade; records are read by what was imported last."""
    file = tmp_path / "recorded.jsonl"
    file.write_text(json_lines.render(explain(incident())))
    code = (
        "import sys; from container_oomkill.cli import replay\n"
        "sys.modules['container_oomkill.sinks.json_lines'] = None\n"
        "from container_oomkill.cli.main import main\n"
        f"sys.exit(main(['replay', '-o', 'json', {str(file)!r}]))"
    )
    done = unprivileged.python("-c", code)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert "sinks.json_lines" in done.stderr
    assert "install container-oomkill again, or allow this process more memory" in done.stderr


WITH_A_LIMIT = """
import resource, sys
from container_oomkill.cli.main import main
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20),) * 2)
sys.exit(main(["schema"]))
"""


def test_no_memory_for_what_it_imports_is_one_line() -> None:
    done = unprivileged.python("-c", WITH_A_LIMIT)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert "allow this process more memory (ulimit -v)" in done.stderr


@pytest.mark.parametrize("image", ["probe", "exporter", "exporter-full"])
def test_an_image_is_asked_for_nothing_that_it_has_not(image: str) -> None:
    """What its commands import is Python's or in deploy/docker/requirements.txt."""
    spec = importlib.util.spec_from_file_location("image_modules", TOOLS / "image_modules.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert image in tool.COMMANDS
    needed = {name.partition(".")[0] for name in tool._needed(image)}
    theirs = needed - sys.stdlib_module_names - {"container_oomkill"}
    assert theirs <= IN_IMAGES, theirs
    assert "elftools" in theirs


def test_each_command_has_a_module_of_its_name() -> None:
    """tools/image_modules.py leaves out by name those that an image does not have."""
    import container_oomkill.cli.main as main

    for name in COMMANDS:
        assert main._command(name).__module__ == f"container_oomkill.cli.{name}"


@pytest.mark.parametrize("command", ["probe", "exporter"])
def test_without_privileges_nothing_attaches(command: str) -> None:
    done = unprivileged.run(command)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("container-oomkill: no hook can be attached (fentry: ")
    assert done.stderr.endswith("`container-oomkill doctor` shows what is missing\n")
    assert (
        "): this process lacks CAP_BPF and CAP_PERFMON: run it as root, or with --cap-add BPF "
        "--cap-add PERFMON; " in done.stderr
    )
    assert done.stderr.count("\n") == 1


def test_the_verifiers_words_are_kept_for_one_hook() -> None:
    done = unprivileged.run("probe", "--hook", "raw_tracepoint", "--verbose", "--cmdline")
    assert done.returncode == 3
    assert "(raw_tracepoint: " in done.stderr
    assert "fentry" not in done.stderr


def test_doctor_says_what_is_missing() -> None:
    done = unprivileged.run("doctor")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.endswith("\nFAILED: no hook attaches\n")
    assert "--cap-add BPF" in done.stdout
    report = json.loads(unprivileged.run("doctor", "-o", "json").stdout)
    assert report["can_attach"] is False
    assert {hook["ok"] for hook in report["findings"]["hooks"].values()} == {False}


def test_doctor_asks_whom_it_is_told_to(tmp_path: Path) -> None:
    socket = str(tmp_path / "socket")
    done = unprivileged.run(
        "doctor", "-o", "json", "--state.docker-socket", socket, "--kubernetes", NODE_NAME=""
    )
    found = json.loads(done.stdout)["findings"]["runtimes"]
    assert socket in found["socket"]["words"]
    assert found["kubernetes"]["ok"] is False
    assert "--kubernetes.node" in found["kubernetes"]["remedy"]


def test_unpin_where_nothing_is(tmp_path: Path) -> None:
    folder = str(tmp_path / "none")
    done = unprivileged.run("unpin", folder)
    assert (done.returncode, done.stdout) == (0, f"nothing is pinned in {folder}\n")
    done = unprivileged.run("unpin", str(tmp_path))
    assert done.returncode == 3
    assert "not on a bpf file system" in done.stderr


def test_replay_in_every_format(tmp_path: Path) -> None:
    recording = tmp_path / "kills"
    recording.write_text(json_lines.render(explain(incident())) + "\n")
    assert unprivileged.run("replay", str(recording), "-o", "json").stdout == recording.read_text()
    older = tmp_path / "older"
    older.write_text(json_lines.render(incident(verdict="its own words")) + "\n")
    replayed = unprivileged.run("replay", str(older), "-o", "json", "--as-recorded").stdout
    assert replayed == older.read_text()
    assert "its own words" not in unprivileged.run("replay", str(older), "-o", "json").stdout
    for option, shown in (("--as-recorded", True), ("--color=never", False)):
        listed = unprivileged.run("show", "--from", str(older), option).stdout
        assert ("its own words" in listed) is shown
    coloured = unprivileged.run("replay", str(recording), "--color", "always").stdout
    assert "\033[" in coloured
    with recording.open("a") as file:
        file.write("{")
    done = unprivileged.run("replay", str(recording))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "line 2: not JSON" in done.stderr
