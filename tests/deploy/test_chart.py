# SPDX-License-Identifier: Apache-2.0
"""The chart renders what kustomize does; values that make no sense are refused."""

from __future__ import annotations

import copy
import json
import shutil
import tarfile
import textwrap
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from container_oomkill import __version__
from container_oomkill.cli.environment import PREFIX
from container_oomkill.cli.exporter_settings import ExporterCommandSettings
from container_oomkill.cli.parser import parse
from container_oomkill.fleet.exporters import ROLE
from container_oomkill.otlp.resource import resource

from ..support.manifests import (
    CHART,
    DEPLOY,
    NAME,
    NEWEST,
    OLDEST,
    OVERLAYS,
    Manifest,
    charted,
    container,
    environment,
    kustomized,
    objects,
    one,
    pod,
    run,
    template,
    tool,
    unfolded,
)

HELMS_OWN = {
    "helm.sh/chart",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
}


def comparable(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """By kind and name; without what only helm says, nor the order of the environment."""
    found = {}
    for each in copy.deepcopy(manifests):
        labels = each["metadata"].get("labels", {})
        each["metadata"]["labels"] = {k: v for k, v in labels.items() if k not in HELMS_OWN}
        if each["kind"] == "PrometheusRule":
            each["spec"] = unfolded(each["spec"])
        if each["kind"] == "DaemonSet":
            for one_container in each["spec"]["template"]["spec"]["containers"]:
                one_container["env"].sort(key=lambda variable: variable["name"])
        found[each["kind"], each["metadata"]["name"]] = each
    assert len(found) == len(manifests)
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_is_the_same_as_kustomize(overlay: str) -> None:
    """Object by object; helm itself makes the namespace, and its labels are in the notes."""
    ours = comparable(kustomized(overlay))
    assert ours.pop(("Namespace", NAME))
    theirs = comparable(charted("--values", str(CHART / "ci" / f"{overlay}-values.yaml")))
    assert theirs.keys() == ours.keys()
    for key, manifest in ours.items():
        assert theirs[key] == manifest


def test_every_values_file_has_its_overlay() -> None:
    assert sorted(path.name for path in (CHART / "ci").iterdir()) == sorted(
        f"{overlay}-values.yaml" for overlay in OVERLAYS
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_lint(overlay: str) -> None:
    values = str(CHART / "ci" / f"{overlay}-values.yaml")
    done = run(tool("helm"), "lint", "--strict", str(CHART), "--values", values)
    assert done.returncode == 0, done.stdout + done.stderr


def test_read_only_all_the_way_down_where_kubernetes_knows_it() -> None:
    (mount,) = [
        each
        for each in container(charted("--kube-version", NEWEST))["volumeMounts"]
        if each["name"] == "cgroup"
    ]
    assert mount["recursiveReadOnly"] == "IfPossible"
    assert "mountPropagation" not in mount
    assert "recursiveReadOnly" not in json.dumps(charted("--kube-version", "1.30.9"))


def test_another_address_of_the_pages() -> None:
    mine = "https://$(NODE_NAME).oomkill.example.com"
    given = container(charted("--set", f"options.WEB_EXTERNAL_URL={mine}"))["env"]
    assert [each["value"] for each in given if each["name"].endswith("EXTERNAL_URL")] == [mine]


def test_versions() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_another_release_and_namespace() -> None:
    """Whoever refers to another object uses its name."""
    manifests = charted(
        "--values", str(CHART / "ci/kubernetes-values.yaml"), release="kills", namespace="ops"
    )
    name = "kills-container-oomkill"
    assert {each["metadata"]["name"] for each in manifests} == {name}
    assert pod(manifests)["serviceAccountName"] == name
    binding = one(manifests, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == name
    (subject,) = binding["subjects"]
    assert (subject["name"], subject["namespace"]) == (name, "ops")
    selector = one(manifests, "DaemonSet")["spec"]["selector"]["matchLabels"]
    labels = one(manifests, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()


def test_who_may_use_the_plugin() -> None:
    """Of another release; bound to nobody, where others bind it."""
    subject = {"kind": "ServiceAccount", "name": "agent", "namespace": "ops"}
    subjects = f"viewers.subjects=[{json.dumps(subject)}]"
    enabled = ("--set", "viewers.enabled=true", "--set-json")
    manifests = charted(*enabled, subjects, release="kills", namespace="ops")
    binding = one(manifests, "RoleBinding")
    name = one(manifests, "Role")["metadata"]["name"]
    assert (name, binding["roleRef"]["name"]) == (f"kills-{ROLE}",) * 2
    assert binding["subjects"] == [subject]
    nobody = charted(*enabled, "viewers.subjects=[]")
    assert "RoleBinding" not in {each["kind"] for each in nobody}
    assert one(nobody, "Role")["metadata"]["name"] == ROLE


def test_values_arrive(tmp_path: Path) -> None:
    values = {
        "image": {"repository": "registry.example/oomkill", "tag": "1.2", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "pull"}],
        "options": {"WEB_MAX_REQUESTS": "16"},
        "podMonitor": {"enabled": True, "interval": "1m", "labels": {"release": "stack"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "stack"}},
        "podLabels": {"team": "ops"},
        "podAnnotations": {"note": "x"},
        "affinity": {"nodeAffinity": {}},
        "networkPolicy": {"enabled": False},
        "priorityClassName": "",
    }
    path = tmp_path / "values.json"
    path.write_text(json.dumps(values))
    manifests = charted("--values", str(path))
    only, spec = container(manifests), pod(manifests)
    assert only["image"] == "registry.example/oomkill:1.2"
    assert only["imagePullPolicy"] == "Always"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert environment(manifests)["CONTAINER_OOMKILL_WEB_MAX_REQUESTS"] == "16"
    for kind in ("PodMonitor", "PrometheusRule"):
        assert one(manifests, kind)["metadata"]["labels"]["release"] == "stack"
    monitor = one(manifests, "PodMonitor")["spec"]
    assert monitor["podMetricsEndpoints"][0]["interval"] == "1m"
    metadata = one(manifests, "DaemonSet")["spec"]["template"]["metadata"]
    assert metadata["labels"] == {"team": "ops", "app.kubernetes.io/name": NAME}
    assert metadata["annotations"]["note"] == "x"
    assert spec["affinity"] == {"nodeAffinity": {}}
    assert "priorityClassName" not in spec
    assert "NetworkPolicy" not in {each["kind"] for each in manifests}


def test_further_values_arrive(tmp_path: Path) -> None:
    digest = f"sha256:{'ab' * 32}"
    secret = {"name": "web", "secret": {"secretName": "oomkill-web"}}
    mount = {"name": "web", "mountPath": "/web", "readOnly": True}
    variable = {"name": "TZ", "value": "Europe/Berlin"}
    values = {
        "image": {"digest": digest, "tag": "ignored"},
        "kubernetes": {"names": True},
        "fullnameOverride": "oomkill",
        "extraArgs": ["--web.config.file=/web/web.yml", "--cmdline"],
        "extraEnv": [variable],
        "extraVolumes": [secret],
        "extraVolumeMounts": [mount],
        "hostFolders": [],
    }
    path = tmp_path / "values.json"
    path.write_text(json.dumps(values))
    manifests = charted("--values", str(path), release="kills")
    assert {each["metadata"]["name"] for each in manifests} == {"oomkill"}
    only, spec = container(manifests), pod(manifests)
    assert only["image"] == f"container-oomkill-exporter-full@{digest}"
    assert only["args"] == ["exporter", "--web.config.file=/web/web.yml", "--cmdline"]
    parse(only["args"], {})
    assert variable in only["env"]
    assert only["volumeMounts"] == [mount]
    assert spec["volumes"] == [secret]
    kubernetes_validate.validate(one(manifests, "DaemonSet"), OLDEST, strict=True)
    (named,) = {
        each["metadata"]["name"] for each in charted("--set", "nameOverride=watch", release="kills")
    }
    assert named == "kills-watch"


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("image.repo=x", "repo"),
        ("hostFolders[0].path=run", "path"),
        ("capabilities={ALL}", "capabilities"),
        ("kubernetes.events=true", "kubernetes"),
        ("options.WEB_MAX_REQUESTS=16", "options"),
        ("options.CONTAINER_OOMKILL_NODE=x", "invalid propertyName"),
        ("maxUnavailable=0%", "maxUnavailable"),
        ("podMonitor.interval=soon", "interval"),
        ("privileged=true", "privileged"),
        ("image.digest=latest", "digest"),
        ("fullnameOverride=Not_A_Name", "fullnameOverride"),
        ("extraArgs={exporter}", "extraArgs"),
        ("viewers.subjects[0].kind=Team", "viewers"),
        ("extraVolumes[0].emptyDir.medium=Memory", "extraVolumes"),
        ("otlp.endpoint=collector:4317", "endpoint"),
        ("otlp.secret=collector", "otlp"),
        ("otlp.files.ca=ca.crt", "otlp"),
        ("webhooks.url=x", "webhooks"),
    ],
)
def test_values_that_make_no_sense(setting: str, named: str) -> None:
    done = template("--set", setting)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert named in done.stderr


def test_notes(tmp_path: Path) -> None:
    """They say how to see what is wrong, and what the namespace needs.

    helm shows them when it installs, for which there is no cluster here: as an object instead.
    """
    chart = tmp_path / NAME
    shutil.copytree(CHART, chart)
    notes = (chart / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    head = "apiVersion: v1\nkind: Notes\ntext: |\n"
    (chart / "templates" / "notes.yaml").write_text(head + textwrap.indent(notes, "  "))
    done = run(
        *(tool("helm"), "template", NAME, str(chart), "--namespace", "ops"),
        *("--kube-version", OLDEST, "--show-only", "templates/notes.yaml"),
    )
    assert done.returncode == 0, done.stderr
    text = one(objects(done.stdout), "Notes")["text"]
    assert "kubectl -n ops rollout status daemonset/container-oomkill" in text
    assert "kubectl -n ops exec POD -- container-oomkill show" in text
    assert "docs/" not in text  # who has the chart need not have the repository
    assert "kubectl label namespace ops pod-security.kubernetes.io/enforce=privileged" in text


def test_the_package_is_whole(tmp_path: Path) -> None:
    """Rules and dashboard are links in the tree, and files in the package."""
    done = run(tool("helm"), "package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / f"{NAME}-{__version__}.tgz") as package:
        for inside, source in (
            ("rules.yml", "prometheus/rules/container-oomkill.yml"),
            ("dashboard.json", "grafana/dashboards/container-oomkill.json"),
            ("logs.json", "grafana/dashboards/container-oomkill-logs.json"),
        ):
            member = package.extractfile(f"{NAME}/files/{inside}")
            assert member is not None
            assert member.read() == (DEPLOY / source).read_bytes()
        names = package.getnames()
    assert not any("/ci/" in name for name in names)


def test_otlp(tmp_path: Path) -> None:
    """The address opens its port; what is secret is a file, and each option finds its own."""
    otlp = {
        "endpoint": "https://otlp.example.com/logs",
        "resourceAttributes": {"k8s.cluster.name": "prod", "deployment.environment.name": "live"},
        "secret": "collector",
        "files": {"headers": "headers", "ca": "ca.crt", "cert": "tls.crt", "key": "tls.key"},
    }
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"otlp": otlp}))
    manifests = charted("--values", str(file))
    given = {name: value for name, value in environment(manifests).items() if value}
    ours = {name: value for name, value in given.items() if name.startswith(PREFIX)}
    args = parse(["exporter"], ours)
    sends = ExporterCommandSettings.from_args(args).destinations.otlp
    assert sends is not None
    folder = "/etc/container-oomkill/otlp"
    assert (sends.url, sends.headers_file) == (f"{otlp['endpoint']}/v1/logs", f"{folder}/headers")
    found = (sends.ca_file, sends.cert_file, sends.key_file)
    assert found == (f"{folder}/ca.crt", f"{folder}/tls.crt", f"{folder}/tls.key")
    sender = resource(node="n", version="0", cluster_node=None, environ=given)
    told = {each["key"]: each["value"]["stringValue"] for each in sender["attributes"]}
    assert (
        told.items() >= {"k8s.cluster.name": "prod", "deployment.environment.name": "live"}.items()
    )
    mounts = {each["name"]: each for each in container(manifests)["volumeMounts"]}
    assert (mounts["otlp"]["mountPath"], mounts["otlp"]["readOnly"]) == (folder, True)
    volumes = {each["name"]: each for each in pod(manifests)["volumes"]}
    assert volumes["otlp"]["secret"] == {"secretName": "collector"}
    assert "container-oomkill-exporter-full" in container(manifests)["image"]
    (rule,) = one(manifests, "NetworkPolicy")["spec"]["egress"]
    assert [each["port"] for each in rule["ports"]] == [53, 53, 443]
    kubernetes_validate.validate(one(manifests, "DaemonSet"), OLDEST, strict=True)


def test_the_dashboard_of_the_logs() -> None:
    enabled = ("--set", "dashboard.enabled=true", "--set")
    without = one(charted(*enabled, "dashboard.logs=false"), "ConfigMap")["data"]
    data = one(charted(*enabled, "dashboard.logs=true"), "ConfigMap")["data"]
    (name,) = data.keys() - without.keys()
    assert data[name] == (DEPLOY / "grafana/dashboards" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://loki:3100/otlp", 3100), ("http://collector", 80), ("https://[2001:db8::1]:9", 9)],
)
def test_the_port_of_an_endpoint(endpoint: str, port: int) -> None:
    (rule,) = one(charted("--set", f"otlp.endpoint={endpoint}"), "NetworkPolicy")["spec"]["egress"]
    assert rule["ports"][-1] == {"protocol": "TCP", "port": port}


def test_the_variables_of_opentelemetry_have_the_image_that_reads_them(tmp_path: Path) -> None:
    variable = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"extraEnv": [variable]}))
    manifests = charted("--values", str(file))
    assert "container-oomkill-exporter-full" in container(manifests)["image"]
    assert variable in container(manifests)["env"]


@pytest.mark.parametrize("option", ["OTLP_ENDPOINT", "WEBHOOK_CONFIG"])
def test_who_sends_incidents_has_the_image_and_the_way_out(tmp_path: Path, option: str) -> None:
    egress = [{"ports": [{"protocol": "TCP", "port": 4318}]}]
    values = {"options": {option: "x"}, "networkPolicy": {"egress": egress}}
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    manifests = charted("--values", str(file))
    assert "container-oomkill-exporter-full" in container(manifests)["image"]
    assert environment(manifests)[f"CONTAINER_OOMKILL_{option}"] == "x"
    assert one(manifests, "NetworkPolicy")["spec"]["egress"] == egress
