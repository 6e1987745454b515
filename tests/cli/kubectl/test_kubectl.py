# SPDX-License-Identifier: Apache-2.0
"""`kubectl oomkill` as a person runs it: a program, a kubeconfig, a cluster of many nodes."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.cli.kubectl.cluster import reach
from container_oomkill.cli.kubectl.parser import parse
from container_oomkill.cli.kubectl.session import KubectlSettings
from container_oomkill.cli.show import show_incidents
from container_oomkill.errors import UsageError
from container_oomkill.incident.before import Before
from container_oomkill.sinks import json_lines
from container_oomkill.sinks.printable import width

from ...support.certificates import make_certificate
from ...support.fleet_server import Fleet, Node, serving
from ...support.incidents import MIB, TIME, container, incident
from ...support.kubeconfig import kubeconfig
from ...support.waiting import PATIENCE_SECONDS

COMMAND = [sys.executable, "-m", "container_oomkill.cli.kubectl.main"]
ONE_CONTEXT = "current-context: x, contexts: [{name: x, context: {cluster: y}}]"
MEMORY_MAX = 60 * MIB


def kill(node: str, number: int, **more: Any) -> Any:
    its = container("app", namespace="shop", pod=f"cart-{number}", workload="Deployment/cart")
    values = {"node": node, "time": TIME + number, "boot_ns": number << 32, "container": its}
    return incident(number, **(values | more))


def fleet_of_two() -> Fleet:
    elsewhere = container("app", namespace="shop-2", pod="db-0")
    leak = kill("a", 3, before=Before(shape="leak"))
    return Fleet(
        Node("a", [leak, kill("a", 1)]),
        Node("b", [kill("b", 2, container=elsewhere, scope="pod", verdict="because")]),
    )


class Kubectl:
    """``url``: of the API server; the kubeconfig has a token."""

    def __init__(self, folder: Path, url: str) -> None:
        self.config = kubeconfig(folder, {"server": url}, {"token": "the-token"})

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env={**os.environ, "KUBECONFIG": self.config, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )


@contextmanager
def cluster(folder: Path, fleet: Fleet) -> Iterator[Kubectl]:
    fleet.token = "the-token"
    with serving(fleet) as url:
        yield Kubectl(folder, url)


def test_the_list_is_that_of_show_with_the_node(tmp_path: Path) -> None:
    with cluster(tmp_path, fleet_of_two()) as kubectl:
        done = kubectl()
        lines = done.stdout.splitlines()
        assert (done.returncode, done.stderr) == (0, "")
        assert lines[0].split() == ["id", "when", "container", "scope", "limit", "node", "verdict"]
        assert [line.split()[0] for line in lines[1:]] == [
            "300000000-3",
            "200000000-2",
            "100000000-1",
        ]
        assert lines[2].endswith("shop-2/db-0/app  pod        128.0 MiB  b     because")
        assert len(kubectl("--limit", "1").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["-n", "shop"], [3, 1]),  # and not shop-2
        (["-A"], [3, 2, 1]),
        (["--pod", "CART"], [3, 1]),
        (["--node", "b"], [2]),
        (["--workload", "deployment/cart"], [3, 1]),
        (["--scope", "pod"], [2]),
        (["--shape", "leak"], [3]),
        (["--since", f"{TIME + 1.5}"], [3, 2]),
        (["--until", f"{TIME + 1.5}"], [1]),
        (["-n", "shop", "--container", "none"], []),
    ],
)
def test_the_filters_are_those_of_show(
    tmp_path: Path, arguments: list[str], ids: list[int]
) -> None:
    with cluster(tmp_path, fleet_of_two()) as kubectl:
        listed = kubectl(*arguments, "-o", "json").stdout
        assert [json.loads(line)["sequence"] for line in listed.splitlines()] == ids[::-1]
        text = kubectl(*arguments).stdout
        assert (text == "no matching incidents\n") is (not ids)


def test_a_program_gets_what_the_exporter_wrote(tmp_path: Path) -> None:
    """Keys of a later version, too."""
    fleet = fleet_of_two()
    later = json.loads(json_lines.render(kill("a", 3))) | {"later": {"a": 1}}
    fleet.nodes["oomkill-a"].texts["300000000-3"] = json.dumps(later, indent=1)
    with cluster(tmp_path, fleet) as kubectl:
        lines = kubectl("-o", "json").stdout.splitlines()
        assert json.loads(lines[-1]) == later
        assert lines[0] == json_lines.render(kill("a", 1))
        assert "id=300000000-3 " in kubectl("-o", "logfmt").stdout.splitlines()[-1]
        assert json.loads(kubectl("describe", "3000", "-o", "json").stdout) == later


def on_terminal(columns: int, kubectl: Kubectl, *arguments: str) -> str:
    ours, its = pty.openpty()
    os.set_blocking(ours, True)
    termios.tcsetwinsize(its, (24, columns))
    env = {"PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    env["KUBECONFIG"] = kubectl.config
    with subprocess.Popen([*COMMAND, *arguments], stdout=its, env=env) as process:
        os.close(its)
        written = b""
        try:
            while piece := os.read(ours, 65536):
                written += piece
        except OSError:  # nobody has the other end any more
            pass
        assert process.wait(PATIENCE_SECONDS) == 0
    os.close(ours)
    return written.decode()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_is_not_overrun_and_says_what_to_do_next(tmp_path: Path, columns: int) -> None:
    fleet = fleet_of_two()
    fleet.nodes["oomkill-a"].incidents = [
        kill("a", n, container=container("x")) for n in range(9, 0, -1)
    ]
    with cluster(tmp_path, fleet) as kubectl:
        listed = on_terminal(columns, kubectl, "--color", "never")
        assert max(map(width, listed.splitlines())) <= columns
        assert "to list all: kubectl oomkill --limit 10" in listed
        assert "to show one in full: kubectl oomkill describe ID" in listed
        assert "\033[1m" in on_terminal(columns, kubectl)
        assert "\033[1;31mOOM" in on_terminal(columns, kubectl, "describe", "900000000-9")


def test_describe_is_the_picture_of_show(tmp_path: Path) -> None:
    """With what it has in common with the kills before it, of its own node."""
    leaks = [kill("a", n, time=TIME + n * 6 * 3600, before=Before(shape="leak"),
                  container=container("app")) for n in (3, 2, 1)]  # fmt: skip
    fleet = Fleet(Node("a", leaks), Node("b", [kill("b", 7)]))
    with cluster(tmp_path, fleet) as kubectl:
        done = kubectl("describe", "3000")
        assert (done.returncode, done.stderr) == (0, "")
        assert "3rd time in a row" in done.stdout
        assert "id 300000000-3  node a  by fentry" in done.stdout
        expected = io.StringIO()
        show_incidents(leaks, expected, wanted=leaks[0].id, colour="never")
        assert done.stdout == expected.getvalue()
        none = kubectl("describe", "42")
        assert (none.returncode, none.stdout) == (2, "")
        assert none.stderr == "kubectl oomkill: no incident 42: `kubectl oomkill` lists them all\n"
        fleet.nodes["oomkill-b"].incidents = [kill("b", 3, boot_ns=(3 << 32) + 1)]
        twice = kubectl("describe", "3000")
        assert twice.returncode == 2
        assert "3000 is ambiguous: 2 incidents start with it: 300000000-3, " in twice.stderr


def test_why_is_the_newest_of_that_pod(tmp_path: Path) -> None:
    with cluster(tmp_path, fleet_of_two()) as kubectl:
        assert "id 300000000-3" in kubectl("why", "cart-3").stdout
        assert "id 200000000-2" in kubectl("why", "pod/db-0", "-n", "shop-2").stdout
        assert "id 200000000-2" in kubectl("why", "shop-2/db-0").stdout
        by_workload = kubectl("why", "cart").stdout
        assert "id 300000000-3" in by_workload
        assert by_workload.endswith("\n1 earlier of cart: kubectl oomkill --pod cart\n")
        assert json.loads(kubectl("why", "db-0", "-o", "json").stdout)["sequence"] == 2


def test_why_takes_names_as_kubectl_has_them(tmp_path: Path) -> None:
    with cluster(tmp_path, fleet_of_two()) as kubectl:
        for kind in ("deployment", "deployments", "deploy", "Deployment"):
            said = kubectl("why", f"{kind}/cart", "-n", "shop").stdout
            assert "id 300000000-3" in said
            earlier = "1 earlier of Deployment/cart: kubectl oomkill --workload Deployment/cart"
            assert said.endswith(f"\n{earlier}\n")
        assert "id 200000000-2" in kubectl("why", "po/db-0").stdout
        for name, option in (
            ("sts/cart", ()),
            ("deploy/car", ()),
            ("deploy/cart", ("-n", "shop-2")),
        ):
            done = kubectl("why", name, *option)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith("no OOM kill of ")
        for name in ("shop-2/db-0", "a/b/c"):
            done = kubectl("why", name, "-n", "shop")
            assert (done.returncode, done.stdout) == (2, "")
            assert f"{name}: expected POD, NAMESPACE/POD, or a kind and a name" in done.stderr


def test_why_without_a_kill_says_how_it_ended_all_the_same(tmp_path: Path) -> None:
    fleet = fleet_of_two()
    ended = {"exitCode": 137, "reason": "Error", "finishedAt": "2026-11-30T01:02:03Z"}
    status = {
        "containerStatuses": [
            {"name": "app", "lastState": {"terminated": ended}, "state": {"running": {}}},
            {"name": "side", "state": {"running": {}}},
        ]
    }
    fleet.pods["default", "web-1"] = {"status": status}
    with cluster(tmp_path, fleet) as kubectl:
        done = kubectl("why", "web-1")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (
            "no OOM kill of web-1 is recorded\napp: exit code 137 (Error) at 2026-11-30T01:02:03Z\n"
        )
        assert kubectl("why", "web").stdout == "no OOM kill of web is recorded\n"


def test_what_is_missing_is_said_and_the_rest_is_there(tmp_path: Path) -> None:
    fleet = fleet_of_two()
    fleet.nodes["oomkill-b"].fault = 503
    words = (
        "kubectl oomkill: missing: 1 of 2 nodes (b): 503 error trying to reach service: "
        "dial tcp 10.0.0.7:9262: no route to host\n"
    )
    with cluster(tmp_path, fleet) as kubectl:
        for arguments in ((), ("-o", "json"), ("why", "cart-3")):
            done = kubectl(*arguments)
            assert (done.returncode, done.stderr) == (1, words)
            assert "300000000-3" in done.stdout
        none = kubectl("describe", "2000")
        assert none.stderr == (
            f"{words}kubectl oomkill: no incident 2000 on the nodes that answered\n"
        )
        assert (none.returncode, none.stdout) == (1, "")
        # "no incidents" would be more than is known.
        assert kubectl("--pod", "none").stdout == ""


def test_a_node_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    fleet = fleet_of_two()
    fleet.nodes["oomkill-b"].fault = "hang"
    with cluster(tmp_path, fleet) as kubectl:
        done = kubectl("--request-timeout", "0.5s")
        assert done.returncode == 1
        assert done.stderr == "kubectl oomkill: missing: 1 of 2 nodes (b): timed out\n"
        assert len(done.stdout.splitlines()) == 3


def test_without_rights_it_is_three(tmp_path: Path) -> None:
    fleet = fleet_of_two()
    fleet.may_proxy = False
    with cluster(tmp_path, fleet) as kubectl:
        done = kubectl()
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == (
            "kubectl oomkill: missing: 2 of 2 nodes (a, b): no right to get pods/proxy in "
            "namespace container-oomkill: see docs/kubectl.md\n"
        )
        fleet.may_list = ()
        done = kubectl()
        assert (done.returncode, done.stderr.count("\n")) == (3, 1)
        assert "ask for the Role container-oomkill-viewer, see docs/kubectl.md" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file or directory"),
        ("a: [", "not YAML"),
        ("[]", "no context None"),
        ("current-context: x", "no context 'x'"),
        (f"{{{ONE_CONTEXT}}}", "no cluster 'y'"),
        (
            f"{{{ONE_CONTEXT}, clusters: [{{name: y, cluster: {{server: 'tcp://a'}}}}]}}",
            "server 'tcp://a' is not a URL",
        ),
    ],
)
def test_a_kubeconfig_of_no_use(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        reach(str(file), None, {})
    assert str(caught.value).startswith(f"--kubeconfig {file}: ")
    assert "\n" not in str(caught.value)


def test_an_api_server_that_is_not_there_is_one_line_and_one(tmp_path: Path) -> None:
    done = Kubectl(tmp_path, "http://127.0.0.1:1")()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "kubectl oomkill: list pods: connection refused\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["descibe", "1"], "did you mean describe?"),
        (["list"], "expected describe, watch, why or nothing: see `kubectl oomkill --help`"),
        (["describe"], "expected `kubectl oomkill describe ID`"),
        (["why", "a", "b"], "expected `kubectl oomkill why POD`"),
        (["watch", "x"], "expected `kubectl oomkill watch`"),
        (["--interval", "1"], "--interval: only `kubectl oomkill watch` has it"),
        (["watch", "--limit", "1"], "--limit: `kubectl oomkill watch` has --count"),
        (["-A", "-n", "x"], "--namespace and --all-namespaces: expected one of them"),
        (["--since", "yesterday"], "--since 'yesterday': expected RFC 3339"),
        (["--since", "7"], "--since 7: expected a time: each node counts for itself"),
        (["--shape", "round"], "--shape 'round': expected one of limit_lowered"),
        (["--request-timeout", "0"], "expected a number of seconds from 0.1 to 300, found '0'"),
        (["--no-such"], "unrecognized arguments: --no-such: see `kubectl oomkill --help`"),
        (["-o", "yaml"], "invalid choice: 'yaml'"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        KubectlSettings.from_args(parse(arguments))


def test_what_a_person_can_mend_is_one_line_and_two(tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path, "http://127.0.0.1:1")
    for arguments in (["descibe"], ["--kubeconfig", "/nowhere"], ["--since", "7"]):
        done = kubectl(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith("kubectl oomkill: ")


def test_options_may_stand_anywhere(tmp_path: Path) -> None:
    with cluster(tmp_path, fleet_of_two()) as kubectl:
        for arguments in (["-n", "shop", "describe", "3000"], ["describe", "-n", "shop", "3000"]):
            assert "id 300000000-3" in kubectl(*arguments).stdout
        assert kubectl("--version").stdout.startswith("kubectl-oomkill 0.")
        assert "exit status:" in kubectl("--help").stdout


def test_how_the_cluster_is_found(tmp_path: Path) -> None:
    """As kubectl does: the option, the variable, the usual file, the pod's account."""
    account = tmp_path / "account"
    with pytest.raises(UsageError, match="and this is not a pod: pass --kubeconfig FILE"):
        reach(None, None, {"HOME": str(tmp_path)}, account)
    account.mkdir()
    (account / "token").write_text("t")
    make_certificate(tmp_path, "ca")
    (account / "ca.crt").write_bytes((tmp_path / "ca.pem").read_bytes())
    environ = {
        "HOME": str(tmp_path),
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
    }
    assert reach(None, None, environ, account).server == "https://10.0.0.1:443"
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube", {"server": "http://usual"}, {})
    assert reach(None, None, environ, account).server == "http://usual"
    (tmp_path / "two").mkdir()
    environ["KUBECONFIG"] = kubeconfig(tmp_path / "two", {"server": "http://variable"}, {})
    assert reach(None, None, environ, account).server == "http://variable"
    option = kubeconfig(tmp_path, {"server": "http://option"}, {})
    assert reach(option, "here", environ, account).server == "http://option"


def test_watch_prints_what_is_new_oldest_first(tmp_path: Path) -> None:
    """In the process of a person, who sees a node go and come back."""
    now = time.time()
    fleet = Fleet(Node("a", [kill("a", 1, time=now - 5)]), Node("b"))
    with (
        cluster(tmp_path, fleet) as kubectl,
        subprocess.Popen(
            [*COMMAND, "watch", "--interval", "0.1", "--count", "3", "-o", "json"],
            env={**os.environ, "KUBECONFIG": kubectl.config},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        while not any("/proxy/" in path for path, _ in fleet.asked):
            time.sleep(0.01)
        looks = len(fleet.asked)
        while len(fleet.asked) < looks + 6:
            time.sleep(0.01)
        fleet.nodes["oomkill-b"].incidents = [
            kill("b", 3, time=now + 2),
            kill("b", 2, time=now + 1),
        ]
        assert [json.loads(process.stdout.readline())["sequence"] for _ in range(2)] == [2, 3]
        fleet.nodes["oomkill-b"].fault = 503
        assert "missing: 1 of 2 nodes (b): 503" in process.stderr.readline()
        fleet.nodes["oomkill-b"].fault = None
        assert process.stderr.readline() == "kubectl oomkill: every node answers again\n"
        # A record that comes late, and is older than what was printed already.
        fleet.nodes["oomkill-a"].incidents.insert(0, kill("a", 4, time=now - 1))
        assert json.loads(process.stdout.readline())["sequence"] == 4
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
        assert process.wait(PATIENCE_SECONDS) == 0


def test_watch_since_begins_with_what_was_and_says_the_node(tmp_path: Path) -> None:
    with cluster(tmp_path, fleet_of_two()) as kubectl:
        done = kubectl("watch", "--since", str(TIME), "--count", "3", "--interval", "0.1")
        assert (done.returncode, done.stderr) == (0, "")
        heads = [line for line in done.stdout.splitlines() if "OOM  " in line]
        assert [head.split("OOM  ")[1].split()[0] for head in heads] == [
            "shop/cart-1/app", "shop-2/db-0/app", "shop/cart-3/app",
        ]  # fmt: skip
        assert done.stdout.count("\n          node    a\n") == 2
        fleet = Fleet()
        with serving(fleet) as url:
            assert Kubectl(tmp_path, url)("watch").returncode == 1


# By a small process: what exec() takes over as the peak is that of the one it was forked from.
MEASURED = """
import os, sys
pid = os.posix_spawn(sys.executable, sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss << 10, round(usage.ru_utime + usage.ru_stime, 2), file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_two_hundred_nodes_fit_into_little_memory(tmp_path: Path) -> None:
    """Over TLS; real records, more than are asked for. docs/kubectl.md has the time it takes."""
    make_certificate(tmp_path, "server")
    server = [sys.executable, "-m", "tests.support.fleet_server", "200", "60", str(tmp_path)]
    with subprocess.Popen(
        server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = process.stdout.readline().strip()
        assert url.startswith("https://")
        authority = {"server": url, "certificate-authority": "server.pem"}
        config = kubeconfig(tmp_path, authority, {"token": "the-token"})
        out = tmp_path / "out"
        plugin = [*COMMAND, "--kubeconfig", config, "-o", "json"]
        with out.open("w") as stdout:
            measured = subprocess.run(
                [sys.executable, "-c", MEASURED, *plugin],
                stdout=stdout, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        process.stdin.close()
    assert measured.returncode == 0, measured.stderr
    assert len(out.read_text().splitlines()) == 1000
    memory, seconds = measured.stderr.split()
    print(f"{int(memory) / MIB:.1f} MiB, {seconds} s of CPU")
    assert int(memory) <= MEMORY_MAX
