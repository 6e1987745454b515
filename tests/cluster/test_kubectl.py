# SPDX-License-Identifier: Apache-2.0
"""`kubectl oomkill` through a real API server, as the Role of deploy/kubernetes allows it."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from container_oomkill.fleet.exporters import ROLE

from ..support.cluster import provoke, table
from ..support.cluster.cluster import Cluster
from ..support.cluster.control_plane import NODE
from ..support.cluster.daemons import PATIENCE, wait_for
from ..support.cluster.exporter import Exporter, deployed, overlay
from ..support.cluster.pods import GREEDY_LATER, NAMESPACE, pod
from ..support.manifests import NAME, one

VIEWER = "viewer"
KILLED = "reported"


class Person:
    """Who has a kubeconfig, and the plugin on the PATH."""

    def __init__(self, cluster: Cluster, folder: Path, config: Path) -> None:
        plugin = folder / "kubectl-oomkill"
        module = "container_oomkill.cli.kubectl.main"
        plugin.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        plugin.chmod(0o755)
        self._command = cluster.kubectl.command("oomkill")
        self._environ = {
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "KUBECONFIG": str(config),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, *arguments],
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    def shown(self, *arguments: str) -> str:
        status, out, err = self(*arguments)
        assert (status, err) == (0, ""), (arguments, out)
        return out


def kubeconfig(cluster: Cluster, folder: Path, account: str) -> Path:
    """That of a service account, as a person's: its context, and a token that ends."""
    config = json.loads(cluster.plane.kubeconfig("admin").read_text())
    token = cluster.kubectl("create", "token", account, "--namespace", "default").strip()
    config["users"][0]["user"] = {"token": token}
    path = folder / f"{account}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def exporter(cluster: Cluster) -> Iterator[Exporter]:
    """With what the component ``viewers`` adds, bound to a service account."""
    role, binding = (copy.deepcopy(one(overlay("everything"), kind)) for kind in BOUND)
    binding["subjects"] = [{"kind": "ServiceAccount", "name": VIEWER, "namespace": "default"}]
    for account in (VIEWER, "nobody"):
        cluster.kubectl("create", "serviceaccount", account, "--namespace", "default")
    with deployed(cluster.api, cluster.kubectl, [*overlay("kubernetes"), role, binding]) as (it, _):
        yield it


BOUND = ("Role", "RoleBinding")


def proxied(cluster: Cluster) -> int:
    """How many answers of exporters the viewer has had so far."""
    asked = cluster.plane.audited(f"default:{VIEWER}")
    return sum("/proxy/" in each["requestURI"] for each in asked)


def test_as_a_person_with_the_role(cluster: Cluster, exporter: Exporter, tmp_path: Path) -> None:
    """List, describe, why, watch; and what the exporter itself says."""
    person = Person(cluster, tmp_path, kubeconfig(cluster, tmp_path, VIEWER))
    # Of one namespace: other processes of this machine are killed too, and its kernel is one.
    ours = ("-n", NAMESPACE)
    assert person.shown(*ours) == "no matching incidents\n"
    killed = [pod(KILLED, GREEDY_LATER)]
    cluster.kubectl.apply(killed)
    provoke.running(cluster, KILLED)
    before = proxied(cluster)
    with person.start("watch", *ours, "--count", "1", "--interval", "1") as watching:
        try:
            # It shows what comes after its start.
            wait_for(lambda: proxied(cluster) > before, "it does not watch")
            provoke.go(cluster, KILLED)
            wait_for(lambda: exporter.of(KILLED), "no record")
            out, err = watching.communicate(timeout=PATIENCE)
            assert (watching.returncode, err) == (0, "")
            assert f"OOM  {NAMESPACE}/{KILLED}/app  limit 48.0 MiB" in out
            assert f"node    {NODE}\n" in out
            (record,) = exporter.of(KILLED)
            (line,) = person.shown(*ours, "-o", "json").splitlines()
            assert json.loads(line) == record
            listed = person.shown("--workload", f"Pod/{KILLED}", "--since", "1h")
            assert [each.split()[0] for each in listed.splitlines()] == ["id", record["id"]]
            assert f"  {NODE}  " in listed
            described = person.shown("describe", record["id"][:-2])
            assert f"OOM  {NAMESPACE}/{KILLED}/app" in described
            assert record["verdict"][:40] in described
            assert person.shown("why", f"{NAMESPACE}/{KILLED}") == described
            table.add("kubectl", "kubectl oomkill", listed.splitlines()[1])
        finally:
            cluster.kubectl.delete(killed)


def test_without_the_role(cluster: Cluster, exporter: Exporter, tmp_path: Path) -> None:
    """Not to list, then not to ask: one line, and what to ask for."""
    nobody = Person(cluster, tmp_path, kubeconfig(cluster, tmp_path, "nobody"))
    status, out, err = nobody()
    assert (status, out, err.count("\n")) == (3, "", 1)
    assert f"ask for the Role {ROLE}, see docs/kubectl.md" in err
    listing = ["create", "rolebinding", "lists", "--role=lists", "--serviceaccount=default:nobody"]
    create = ("--namespace", NAME, "create", "role", "lists", "--verb=list", "--resource=pods")
    cluster.kubectl(*create)
    cluster.kubectl("--namespace", NAME, *listing)
    status, out, err = nobody()
    assert (status, out) == (3, "")
    assert err == (
        f"kubectl oomkill: missing: 1 of 1 nodes ({NODE}): no right to get pods/proxy in namespace "
        f"{NAME}: see docs/kubectl.md\n"
    )
    assert exporter.is_ready()


def test_an_exporter_that_is_gone_for_a_moment(
    cluster: Cluster, exporter: Exporter, tmp_path: Path
) -> None:
    """Its pod is deleted: until the next one answers, one line says so, and no traceback."""
    person = Person(cluster, tmp_path, cluster.plane.kubeconfig("admin"))
    name = exporter.pod()["metadata"]["name"]
    status, _, err = person("--exporter-namespace", NAME, "-l", "no=such")
    assert (status, err.count("\n")) == (1, 1)
    assert "is the DaemonSet installed?" in err
    cluster.kubectl("--namespace", NAME, "delete", "pod", name, "--wait=false")

    def answers_again() -> bool:
        status, _, err = person("--request-timeout", "2")
        assert status in (0, 1), err
        assert "Traceback" not in err
        return status == 0

    wait_for(answers_again, "no answer from the next pod")
