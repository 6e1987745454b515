# SPDX-License-Identifier: Apache-2.0
"""How the API is reached: by a pod's service account, by a kubeconfig; and what is said if not."""

from __future__ import annotations

import base64
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.kubernetes.access import in_pod
from container_oomkill.kubernetes.api import Api
from container_oomkill.kubernetes.errors import ApiError
from container_oomkill.kubernetes.kubeconfig import by_kubeconfig
from container_oomkill.kubernetes.objects import PodList

from ..support.api_server import NODE, Cluster, pod, serving
from ..support.kubeconfig import kubeconfig

FIELDS = {"fieldSelector": f"spec.nodeName={NODE}", "limit": "1"}


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    for name in ("server", "client", "other"):
        certificate(folder, name)
    return folder


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.put(pod(1))
    return made


@pytest.fixture
def url(cluster: Cluster, pki: Path) -> Iterator[str]:
    """An HTTPS server that takes the client's certificate, or a token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    context.load_verify_locations(pki / "client.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    with serving(cluster, context=context) as url:
        yield url


def pods(access: Any) -> int:
    with closing(Api(access)) as api:
        return len(api.get("/api/v1/pods", PodList, fields=FIELDS).items or ())


def account(folder: Path, pki: Path, token: str = "abc") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token + "\n")
    (folder / "ca.crt").write_bytes((pki / "server.crt").read_bytes())
    return folder


def environ(url: str) -> dict[str, str]:
    host, port = url.removeprefix("https://").split(":")
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}


def test_in_a_pod_with_a_token_that_is_renewed(
    cluster: Cluster, url: str, pki: Path, tmp_path: Path
) -> None:
    cluster.token = "one"
    access = in_pod(environ(url), account(tmp_path, pki, "one"))
    with closing(Api(access)) as api:
        assert api.get("/api/v1/pods", PodList, fields=FIELDS).items
        cluster.token = "two"
        with pytest.raises(ApiError, match="401 Unauthorized"):
            api.get("/api/v1/pods", PodList, fields=FIELDS)
        account(tmp_path, pki, "two")
        assert api.get("/api/v1/pods", PodList, fields=FIELDS).items
        (tmp_path / "token").write_text("a\nb")
        with pytest.raises(ApiError):
            api.get("/api/v1/pods", PodList, fields=FIELDS)
        (tmp_path / "token").unlink()
        with pytest.raises(ApiError, match="token: no such file"):
            api.get("/api/v1/pods", PodList, fields=FIELDS)


def test_another_servers_certificate_is_refused(url: str, pki: Path, tmp_path: Path) -> None:
    account(tmp_path, pki)
    (tmp_path / "ca.crt").write_bytes((pki / "other.crt").read_bytes())
    with pytest.raises(ApiError, match="certificate not trusted"):
        pods(in_pod(environ(url), tmp_path))


def test_what_a_pod_may_lack(pki: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this is not a pod: pass --kubeconfig FILE"):
        in_pod({}, tmp_path)
    there = {"KUBERNETES_SERVICE_HOST": "::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(UsageError, match="automountServiceAccountToken: true"):
        in_pod(there, tmp_path)
    assert in_pod(there, account(tmp_path, pki)).server == "https://[::1]:443"
    (tmp_path / "ca.crt").write_text("none")
    with pytest.raises(UsageError, match=r"ca.crt: OpenSSL rejects the certificate"):
        in_pod(there, tmp_path)
    (tmp_path / "ca.crt").unlink()
    with pytest.raises(UsageError, match=r"ca.crt: no such file"):
        in_pod(there, tmp_path)


def test_kubeconfig_with_a_token(cluster: Cluster, url: str, pki: Path, tmp_path: Path) -> None:
    cluster.token = "abc"
    trusted = {"server": url, "certificate-authority": str(pki / "server.crt")}
    assert pods(by_kubeconfig(kubeconfig(tmp_path, trusted, {"token": "abc"}))) == 1
    (tmp_path / "token").write_text("abc")
    assert pods(by_kubeconfig(kubeconfig(tmp_path, trusted, {"tokenFile": "token"}))) == 1
    insecure = {"server": url, "insecure-skip-tls-verify": True}
    assert pods(by_kubeconfig(kubeconfig(tmp_path, insecure, {"token": "abc"}))) == 1
    with pytest.raises(ApiError, match="not trusted"):
        pods(by_kubeconfig(kubeconfig(tmp_path, {"server": url}, {"token": "abc"})))


def test_kubeconfig_with_a_certificate_in_it(url: str, pki: Path, tmp_path: Path) -> None:
    def inline(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    there = {"server": url, "certificate-authority-data": inline("server.crt")}
    user = {
        "client-certificate-data": inline("client.crt"),
        "client-key-data": inline("client.key"),
    }
    assert pods(by_kubeconfig(kubeconfig(tmp_path, there, user))) == 1
    wrong = user | {"client-key-data": inline("other.key")}
    with pytest.raises(UsageError, match="OpenSSL rejects the certificate"):
        by_kubeconfig(kubeconfig(tmp_path, there, wrong))


@pytest.mark.parametrize(
    ("cluster", "user", "changes", "words"),
    [
        ({"server": "here"}, {}, {}, "server 'here' is not a URL"),
        ({}, {}, {}, "server None is not a URL"),
        (
            {"server": "https://x"},
            {"exec": {"command": "aws"}},
            {},
            "has exec, which is not supported",
        ),
        ({"server": "https://x", "certificate-authority": "/none"}, {}, {}, "/none: no such file"),
        ({"server": "https://x", "certificate-authority-data": "%"}, {}, {}, "is not base64"),
        ({}, {}, {"current-context": "there"}, "no context 'there'"),
        ({}, {}, {"users": []}, "no user 'b'"),
        ({}, {}, {"clusters": 5}, "no cluster 'a'"),
    ],
)
def test_kubeconfigs_that_do_not_do(
    tmp_path: Path, cluster: Any, user: Any, changes: Any, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        by_kubeconfig(kubeconfig(tmp_path, cluster, user, **changes))


@pytest.mark.parametrize("text", ["{", "\0", "- 1", "", "a: *b"])
def test_files_that_are_no_kubeconfig(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(UsageError, match="--kubeconfig"):
        by_kubeconfig(str(file))
    with pytest.raises(UsageError, match="no such file"):
        by_kubeconfig(str(tmp_path / "none"))


DOCTOR = """
import sys
{before}
from container_oomkill.kubernetes.survey import survey
print(survey({node!r}, {kubeconfig!r}))
"""


def finding(before: str = "", kubeconfig: str | None = None, node: str | None = NODE) -> str:
    code = DOCTOR.format(before=before, kubeconfig=kubeconfig, node=node)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_doctor_says_what_the_api_says(cluster: Cluster, tmp_path: Path) -> None:
    with serving(cluster) as url:
        config = kubeconfig(tmp_path, {"server": url}, {})
        assert f"1 pod on node {NODE} ({url})" in finding(kubeconfig=config)
        assert "set NODE_NAME" in finding(kubeconfig=config, node=None)
        cluster.token = "other"
        assert "the token was rejected" in finding(kubeconfig=config)
    assert "connection refused" in finding(kubeconfig=config)
    missing = finding("sys.modules['msgspec'] = None", kubeconfig=config)
    assert "pip install 'container-oomkill[kubernetes]'" in missing
