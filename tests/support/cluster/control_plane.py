# SPDX-License-Identifier: Apache-2.0
"""Takes Kubernetes' programs, gives a control plane: etcd, API server, controllers, scheduler."""

from __future__ import annotations

import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import certificates
from .api import Api
from .daemons import Daemon, wait_for
from .namespaces import NODE_ADDRESS, SERVICE_ADDRESS
from .programs import Programs

SERVER = f"https://{NODE_ADDRESS}:443"
NODE = "node-7"
# Who is who, by token. Groups and names are Kubernetes' own, and so are their rights.
USERS = {
    "admin": ("admin", "system:masters"),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
}
# What the tests' objects need. All of them are several times the work, and a guest is emulated.
CONTROLLERS = (
    *("cronjob", "daemonset", "deployment", "endpointslice", "garbage-collector", "job"),
    *(
        "namespace",
        "node-lifecycle",
        "replicaset",
        "root-ca-certificate-publisher",
        "serviceaccount",
    ),
    *("resourcequota", "statefulset"),
)
# Every request of a service account; a watch that goes on has been answered, too.
AUDIT = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, Panic]
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
  - level: None
"""


class ControlPlane:
    """``api`` may do anything; ``seconds``: until each program was ready."""

    def __init__(self, programs: Programs, folder: Path, logs: Path) -> None:
        self.programs = programs
        self.folder = folder
        self.audit_log = logs / "audit.log"
        self.seconds: dict[str, float] = {}
        folder.mkdir()
        certificates.write(folder, NODE_ADDRESS, SERVICE_ADDRESS)
        (folder / "audit.yaml").write_text(AUDIT)
        tokens = [
            f'{name}-token,{user},{name},"{group}"\n' for name, (user, group) in USERS.items()
        ]
        (folder / "tokens.csv").write_text("".join(tokens))
        for name in USERS:
            (folder / name).write_text(json.dumps(self._kubeconfig(name)))
        self.api = Api(SERVER, folder / "ca.crt", "admin-token")
        self._etcd = Daemon(self._etcd_command(), logs / "etcd.log")
        self.server = Daemon(self._server_command(), logs / "kube-apiserver.log")
        self._others = [
            Daemon(self._controllers_command(), logs / "kube-controller-manager.log"),
            Daemon(self._scheduler_command(), logs / "kube-scheduler.log"),
        ]

    def kubeconfig(self, name: str) -> Path:
        return self.folder / name

    def start(self) -> None:
        self._started(self._etcd, lambda: _answers("http://127.0.0.1:2379/readyz"))
        self._started(self.server, self.is_ready)
        for daemon in self._others:
            self._started(daemon, lambda: True)
        # Without it no pod is admitted: the controllers make it.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_for(lambda: self.api.find(account), "a service account")

    def stop(self) -> None:
        for daemon in (*reversed(self._others), self.server, self._etcd):
            daemon.stop()

    def is_ready(self) -> bool:
        return self.api.text("/readyz") == "ok"

    def audited(self, account: str) -> list[dict[str, Any]]:
        """What a service account, NAMESPACE:NAME, has asked so far, oldest first."""
        user = f"system:serviceaccount:{account}"
        lines = self.audit_log.read_text().splitlines()
        return [each for each in map(json.loads, lines) if each["user"]["username"] == user]

    def _started(self, daemon: Daemon, is_ready: Any) -> None:
        self.seconds[daemon.name] = daemon.start(is_ready)

    def _kubeconfig(self, name: str) -> dict[str, Any]:
        cluster = {"server": SERVER, "certificate-authority": str(self.folder / "ca.crt")}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": f"{name}-token"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        }

    def _etcd_command(self) -> list[str]:
        return [
            self.programs["etcd"], "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync",
            "--listen-peer-urls", "http://127.0.0.1:2380", "--log-level", "warn",
        ]  # fmt: skip

    def _server_command(self) -> list[str]:
        return [
            self.programs["kube-apiserver"], "--etcd-servers", "http://127.0.0.1:2379",
            "--bind-address", "0.0.0.0", "--advertise-address", NODE_ADDRESS,
            "--secure-port", "443", "--tls-cert-file", str(self.folder / "api.crt"),
            "--tls-private-key-file", str(self.folder / "api.key"),
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", str(self.folder / "accounts.pub"),
            "--service-account-signing-key-file", str(self.folder / "accounts.key"),
            "--token-auth-file", str(self.folder / "tokens.csv"),
            "--authorization-mode", "Node,RBAC", "--service-cluster-ip-range", "10.233.0.0/24",
            "--audit-policy-file", str(self.folder / "audit.yaml"),
            "--audit-log-path", str(self.audit_log), "--audit-log-mode", "blocking",
            "--kubelet-preferred-address-types", "InternalIP", "--allow-privileged",
            "--profiling=false",
        ]  # fmt: skip

    def _controllers_command(self) -> list[str]:
        return [
            self.programs["kube-controller-manager"], "--kubeconfig",
            str(self.kubeconfig("controllers")), "--leader-elect=false", "--bind-address",
            "127.0.0.1", "--use-service-account-credentials", "--root-ca-file",
            str(self.folder / "ca.crt"), "--service-account-private-key-file",
            str(self.folder / "accounts.key"),
            "--node-monitor-grace-period", "30m",  # tests stop the kubelet
            "--controllers", ",".join(f"{each}-controller" for each in CONTROLLERS),
        ]  # fmt: skip

    def _scheduler_command(self) -> list[str]:
        return [
            self.programs["kube-scheduler"], "--kubeconfig", str(self.kubeconfig("scheduler")),
            "--leader-elect=false", "--bind-address", "127.0.0.1",
        ]  # fmt: skip


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@contextlib.contextmanager
def control_plane(programs: Programs, folder: Path, logs: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(programs, folder, logs)
    os.environ["KUBECONFIG"] = str(made.kubeconfig("admin"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
