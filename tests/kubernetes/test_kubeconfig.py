# SPDX-License-Identifier: Apache-2.0
"""A kubeconfig as kubectl reads it: contexts, several files, credential plugins, proxies."""

from __future__ import annotations

import base64
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from container_oomkill.errors import Error, UsageError
from container_oomkill.kubernetes.access import Access
from container_oomkill.kubernetes.api import Api
from container_oomkill.kubernetes.errors import ApiError
from container_oomkill.kubernetes.kubeconfig import by_kubeconfig, by_kubeconfigs
from container_oomkill.kubernetes.objects import PodList

from ..support.api_server import NODE, Cluster, pod, serving
from ..support.certificates import make_certificate
from ..support.kubeconfig import kubeconfig

FIELDS = {"fieldSelector": f"spec.nodeName={NODE}", "limit": "1"}
BAD_TIME = '{"status": {"token": "a", "expirationTimestamp": "x"}}'
PLUGIN = """
import json, os, sys
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
with open(sys.argv[1], "a") as file:
    file.write(json.dumps([asked, os.environ.get("PROFILE"), sys.argv[2:]]) + "\\n")
print(open(sys.argv[1] + ".answer").read())
"""


def pods(access: Access) -> int:
    with closing(Api(access)) as api:
        return len(api.get("/api/v1/pods", PodList, fields=FIELDS).items or ())


def opened(*paths: str, context: str | None = None, **environ: str) -> Access:
    return by_kubeconfigs(paths, context, "kubeconfig", environ)


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.put(pod(1))
    made.token = "the-token"
    return made


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    with serving(cluster) as url:
        yield url


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(tmp_path / "plugin.py"), str(tmp_path / "asked"), "get-token"],
        "env": [{"name": "PROFILE", "value": "prod"}],
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": True,
    }


def answer(folder: Path, **status: Any) -> None:
    made = {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1"}
    (folder / "asked.answer").write_text(json.dumps({**made, "status": status}))


def asked(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "asked").read_text().splitlines()]


def test_a_context_by_its_name(tmp_path: Path, url: str) -> None:
    contexts = [
        {"name": "here", "context": {"cluster": "a", "user": "none"}},
        {"name": "there", "context": {"cluster": "a", "user": "b", "namespace": "shop"}},
    ]
    path = kubeconfig(tmp_path, {"server": url}, {"token": "the-token"}, contexts=contexts)
    access = opened(path, context="there")
    assert (pods(access), access.namespace) == (1, "shop")
    with pytest.raises(UsageError, match=r"^kubeconfig: no context 'nowhere'$"):
        opened(path, context="nowhere")
    with pytest.raises(UsageError, match="no user 'none'"):
        opened(path)


def test_several_files_are_one(tmp_path: Path, url: str) -> None:
    """As KUBECONFIG=a:b: the first to name something counts; paths are the file's own."""
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "token").write_text("the-token\n")
    second = kubeconfig(tmp_path / "second", {"server": "http://wrong"}, {"tokenFile": "token"})
    first = tmp_path / "first"
    cluster = {"name": "a", "cluster": {"server": url}}
    first.write_text(yaml.safe_dump({"clusters": [cluster], "users": None}))
    assert pods(opened(str(first), second)) == 1
    assert pods(opened(str(tmp_path / "none"), str(first), second)) == 1
    with pytest.raises(UsageError, match=r"kubeconfig: .*none: no such file or directory"):
        opened(str(tmp_path / "none"), str(tmp_path / "none either"))


def test_a_plugin_is_asked_once_and_again_when_its_token_expires(
    tmp_path: Path, url: str, plugin: dict[str, Any]
) -> None:
    path = kubeconfig(tmp_path, {"server": url}, {"exec": plugin})
    answer(tmp_path, token="the-token", expirationTimestamp="2126-11-30T00:00:00Z")
    access = opened(path)
    threads = [threading.Thread(target=access.headers) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert pods(access) == 1
    ((info, profile, arguments),) = asked(tmp_path)
    assert (profile, arguments) == ("prod", ["get-token"])
    assert info["apiVersion"] == plugin["apiVersion"]
    assert info["spec"] == {"interactive": False, "cluster": {"server": url}}
    answer(tmp_path, token="the-token", expirationTimestamp="2025-01-01T00:00:00Z")
    expired = opened(path)
    assert [expired.headers() for _ in range(2)]
    assert len(asked(tmp_path)) == 3


def test_a_plugin_with_a_certificate(tmp_path: Path, plugin: dict[str, Any]) -> None:
    make_certificate(tmp_path, "server", names="IP:127.0.0.1,DNS:api.example")
    make_certificate(tmp_path, "client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    context.load_verify_locations(tmp_path / "client.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    made = Cluster()
    made.put(pod(1))
    authority = base64.b64encode((tmp_path / "server.pem").read_bytes()).decode()
    certificate = (tmp_path / "client.pem").read_text()
    key = (tmp_path / "client.key").read_text()
    answer(tmp_path, clientCertificateData=certificate, clientKeyData=key)
    with serving(made, context=context) as url:
        described = {"server": url, "certificate-authority-data": authority}
        path = kubeconfig(tmp_path, described, {"exec": plugin})
        assert pods(opened(path)) == 1
        ((info, _, _),) = asked(tmp_path)
        assert info["spec"]["cluster"]["certificate-authority-data"] == authority
        # The name that the certificate is for.
        for name, known in (("api.example", True), ("elsewhere.example", False)):
            named = {**described, "tls-server-name": name}
            access = opened(kubeconfig(tmp_path, named, {"exec": plugin}))
            if known:
                assert pods(access) == 1
                continue
            with pytest.raises(ApiError, match="certificate not trusted: Hostname mismatch"):
                pods(access)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"command": "no-such-plugin", "installHint": "brew install it"}, UsageError,
         "credential plugin no-such-plugin: no such file or directory: brew install it"),
        ({"command": ""}, UsageError, "exec: command is missing"),
        ({"args": "x"}, UsageError, "exec: args and env are lists"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, UsageError, "v1alpha1' is not"),
        ({"interactiveMode": "Always"}, UsageError, "needs a terminal to log in"),
        ({"args": ["-c", "import sys; sys.exit('your session\\nhas expired')"]}, Error,
         "exit status 1: your session has expired"),
        ({"args": ["-c", "print('<html>')"]}, Error, "its answer is not JSON"),
        ({"args": ["-c", "print('{}')"]}, Error, "neither a token nor a certificate"),
        ({"args": ["-c", f"print({BAD_TIME!r})"]}, Error,
         "expirationTimestamp 'x' is no time"),
    ],
)  # fmt: skip
def test_a_plugin_that_is_of_no_use_is_one_line(
    tmp_path: Path, plugin: dict[str, Any], changes: dict[str, Any], kind: type[Error], words: str
) -> None:
    user = {"exec": plugin | changes}
    path = kubeconfig(tmp_path, {"server": "http://127.0.0.1:1"}, user)
    with pytest.raises(kind, match=r"^kubeconfig: ") as caught:
        opened(path).headers()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_exporter_runs_no_plugin(tmp_path: Path, plugin: dict[str, Any]) -> None:
    path = kubeconfig(tmp_path, {"server": "https://a"}, {"exec": plugin})
    with pytest.raises(UsageError, match="its user has exec, which is not supported"):
        by_kubeconfig(path)
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("name", ["auth-provider", "username", "as"])
def test_who_else_one_might_be(tmp_path: Path, name: str) -> None:
    """To leave it out would be to ask as somebody else."""
    path = kubeconfig(tmp_path, {"server": "https://a"}, {name: "x", "token": "y"})
    with pytest.raises(UsageError, match=f"its user has {name}, which is not supported"):
        opened(path)


def test_a_proxy_is_asked(tmp_path: Path, cluster: Cluster, monkeypatch: Any) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server = {"server": "http://api.invalid:6443"}
    with serving(cluster) as proxy:
        path = kubeconfig(tmp_path, {**server, "proxy-url": proxy}, {"token": "the-token"})
        assert pods(opened(path)) == 1
        path = kubeconfig(tmp_path, server, {"token": "the-token"})
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        assert opened(path).proxy == proxy
        monkeypatch.setenv("NO_PROXY", "api.invalid")
        monkeypatch.setenv("no_proxy", "api.invalid")
        assert opened(path).proxy is None
    path = kubeconfig(tmp_path, {**server, "proxy-url": "socks5://a"}, {"token": "t"})
    with pytest.raises(UsageError, match="only http:// and https:// proxies"):
        opened(path)
