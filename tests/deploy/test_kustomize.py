# SPDX-License-Identifier: Apache-2.0
"""deploy/kubernetes: valid for the oldest and the newest Kubernetes, and no more than is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from container_oomkill import __version__
from container_oomkill.cli.environment import PREFIX, variables_of
from container_oomkill.cli.exporter_settings import ExporterCommandSettings
from container_oomkill.cli.parser import build_parser, parse
from container_oomkill.exporter.settings import EXTERNAL_URL, LISTEN_ADDRESS, OWN_PATHS
from container_oomkill.fleet.exporters import NAMESPACE, ROLE
from container_oomkill.identity.runtimes import docker, oci
from container_oomkill.kubernetes.events import PATIENCE_SECONDS

from ..support.manifests import (
    DEPLOY,
    KUBERNETES,
    NAME,
    NEWEST,
    OLDEST,
    OVERLAYS,
    Manifest,
    container,
    environment,
    kustomized,
    objects,
    one,
    pod,
    run,
    tool,
    unfolded,
)
from ..support.prometheus import RULES

# Of these, kubernetes-validate has no schema.
CUSTOM = {"PodMonitor", "PrometheusRule", "SecurityContextConstraints"}
OF_THE_CLUSTER = {
    "ClusterRole",
    "ClusterRoleBinding",
    "Namespace",
    "SecurityContextConstraints",
}
API = {"everything", "fleet", "kubernetes", "restricted"}  # overlays that ask Kubernetes' API
RULE_OBJECT = KUBERNETES / "components" / "prometheus-operator" / "prometheusrule.yaml"
IMAGE, FULL = "container-oomkill-exporter", "container-oomkill-exporter-full"
PINS = "/sys/fs/bpf/container-oomkill"
CGROUPS = "/sys/fs/cgroup"


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def manifests(overlay: str) -> list[Manifest]:
    return kustomized(overlay)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_schema(manifests: list[Manifest], version: str) -> None:
    """Strictly: a field that Kubernetes does not know is an error."""
    for each in manifests:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


def test_the_newest_is_the_newest() -> None:
    assert kubernetes_validate.latest_version() == NEWEST


def test_an_unknown_field_would_be_found() -> None:
    wrong = json.loads(json.dumps(one(kustomized("standard"), "DaemonSet")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_everything_is_labelled_and_in_the_namespace(manifests: list[Manifest]) -> None:
    for each in manifests:
        assert each["metadata"]["labels"]["app.kubernetes.io/name"] == NAME
        inside = each["metadata"].get("namespace")
        assert inside == (None if each["kind"] in OF_THE_CLUSTER else NAME), each["kind"]


def test_selectors_find_the_pods(manifests: list[Manifest]) -> None:
    labels = one(manifests, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    wanted = {"app.kubernetes.io/name": NAME}
    assert wanted.items() <= labels.items()
    for each in manifests:
        spec = each.get("spec", {})
        if each["kind"] in ("DaemonSet", "PodMonitor"):
            assert spec["selector"]["matchLabels"] == wanted
        elif each["kind"] == "Service":
            assert spec["selector"] == wanted
        elif each["kind"] == "NetworkPolicy":
            assert spec["podSelector"]["matchLabels"] == wanted
            assert spec["ingress"][0]["from"][0]["podSelector"]["matchLabels"] != wanted


def test_nothing_is_privileged(overlay: str, manifests: list[Manifest]) -> None:
    spec, only = pod(manifests), container(manifests)
    context = only["securityContext"]
    assert {"hostPID", "hostIPC", "hostNetwork", "initContainers"}.isdisjoint(spec)
    assert "privileged" not in context
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"]["drop"] == ["ALL"]
    added = {"legacy": ["SYS_ADMIN", "SYS_RESOURCE"]}.get(overlay, ["BPF", "PERFMON"])
    assert context["capabilities"]["add"] == added
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_what_is_mounted(overlay: str, manifests: list[Manifest]) -> None:
    """Only where names are looked for by default, read-only; every volume is used."""
    spec, only = pod(manifests), container(manifests)
    volumes = {
        each["name"]: each["hostPath"] for each in spec.get("volumes", []) if "secret" not in each
    }
    mounts = {each["name"]: each for each in only.get("volumeMounts", [])}
    if overlay == "fleet":
        assert mounts.pop("webhooks")["readOnly"] is True
    assert volumes.keys() == mounts.keys()
    known = {*oci.CONTAINERD_FOLDERS, *oci.CRIO_FOLDERS, *docker.FOLDERS}
    for name, mount in mounts.items():
        if name == "pins":
            assert overlay in ("everything", "pins")
            assert (volumes[name]["path"], mount["mountPath"]) == (PINS, "/sys/fs/bpf")
        elif name == "cgroup":
            assert volumes[name] == {"path": CGROUPS, "type": "Directory"}
            # Cgroups are folders of one mount; none is mounted or unmounted later.
            assert mount == {"name": "cgroup", "mountPath": CGROUPS, "readOnly": True}
        else:
            assert mount["mountPath"] == volumes[name]["path"]
            assert mount["mountPath"] in known
            assert mount["readOnly"] is True
            assert mount["mountPropagation"] == "HostToContainer"
        # A folder that is made must be gone with the next boot.
        if volumes[name]["type"] == "DirectoryOrCreate":
            assert volumes[name]["path"].startswith(("/run/", "/sys/fs/bpf/"))
    assert bool(mounts) == (overlay != "restricted")
    assert ("cgroup" in mounts) == (overlay not in ("legacy", "restricted"))


@pytest.mark.parametrize("component", ["recursive-read-only", "no-cgroup-files"])
def test_components_of_no_overlay(component: str, tmp_path: Path) -> None:
    """The first is for a Kubernetes that knows the field; older ones refuse it."""
    shutil.copytree(DEPLOY, tmp_path / "deploy", symlinks=True)
    overlay = tmp_path / "deploy/kubernetes/overlays/standard"
    list_ = overlay / "kustomization.yaml"
    more = f"components:\n  - ../../components/{component}"
    list_.write_text(list_.read_text().replace("components:", more))
    done = run(tool("kustomize"), "build", str(overlay))
    assert (done.returncode, done.stderr) == (0, "")
    made = objects(done.stdout)
    daemon_set = one(made, "DaemonSet")
    mounts = {each["name"]: each for each in container(made)["volumeMounts"]}
    kubernetes_validate.validate(daemon_set, NEWEST, strict=True)
    if component == "no-cgroup-files":
        assert mounts.keys() == {"containerd", "k3s", "k0s", "crio"}
        assert mounts.keys() == {each["name"] for each in pod(made)["volumes"]}
        return
    assert mounts["cgroup"]["recursiveReadOnly"] == "IfPossible"
    assert sum("recursiveReadOnly" in each for each in mounts.values()) == 1
    # The API asks for that: pkg/apis/core/validation, validateMountRecursiveReadOnly().
    assert "mountPropagation" not in mounts["cgroup"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(daemon_set, OLDEST, strict=True)


def test_the_pages_address_is_one_that_kubectl_proxy_serves(manifests: list[Manifest]) -> None:
    given = environment(manifests)
    url: str = given["CONTAINER_OOMKILL_WEB_EXTERNAL_URL"]
    expanded = url.replace("$(POD_NAMESPACE)", "ops").replace("$(POD_NAME)", "a")
    assert re.fullmatch(EXTERNAL_URL, expanded, re.ASCII)
    names = [each["name"] for each in container(manifests)["env"]]
    fields = {
        each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"]
        for each in container(manifests)["env"]
        if "valueFrom" in each
    }
    assert (fields["POD_NAMESPACE"], fields["POD_NAME"]) == ("metadata.namespace", "metadata.name")
    # Kubernetes puts in only what is defined before.
    assert names.index("CONTAINER_OOMKILL_WEB_EXTERNAL_URL") > max(
        names.index(each) for each in fields
    )


def test_a_token_only_for_who_asks_the_api(overlay: str, manifests: list[Manifest]) -> None:
    asks = overlay in API
    assert pod(manifests)["automountServiceAccountToken"] is asks
    assert one(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
    roles = [each for each in manifests if each["kind"] == "ClusterRole"]
    assert len(roles) == asks
    policy = one(manifests, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert bool(policy["egress"]) == asks


def test_rights_at_the_api() -> None:
    names = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]},
    ]
    events = {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}
    assert one(kustomized("restricted"), "ClusterRole")["rules"] == names
    assert one(kustomized("kubernetes"), "ClusterRole")["rules"] == [*names, events]
    assert f"{PREFIX}KUBERNETES_EVENTS" in environment(kustomized("kubernetes"))
    assert f"{PREFIX}KUBERNETES_EVENTS" not in environment(kustomized("restricted"))


def test_who_may_use_the_plugin() -> None:
    """What fleet/ asks for, in the namespace of the exporters; the names it tells people."""
    role, binding = (one(kustomized("everything"), each) for each in ("Role", "RoleBinding"))
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]},
    ]
    assert role["metadata"]["name"] == binding["roleRef"]["name"] == ROLE
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == NAMESPACE


def test_incidents_have_a_way_out() -> None:
    """To names and ports that somebody listens on, and to nothing else."""
    manifests = kustomized("fleet")
    egress = [
        {(each["protocol"], each["port"]) for each in rule["ports"]}
        for rule in one(manifests, "NetworkPolicy")["spec"]["egress"]
    ]
    dns = {("UDP", 53), ("TCP", 53)}
    api = {("TCP", port) for port in (443, 6443, 8443, 16443)}
    assert egress == [api, dns | {("TCP", 4318)}, dns | {("TCP", 443), ("TCP", 9093)}]
    given = {k: v for k, v in environment(manifests).items() if v and k.startswith(PREFIX)}
    sends = ExporterCommandSettings.from_args(parse(["exporter"], given)).destinations
    assert sends.otlp is not None
    assert sends.otlp.url.endswith(":4318/v1/logs")
    folder, _, name = str(sends.webhook_config).rpartition("/")
    (mount,) = (each for each in container(manifests)["volumeMounts"] if each["name"] == "webhooks")
    assert (mount["mountPath"], name) == (folder, "webhooks.yml")


def test_pod_security() -> None:
    labels = one(kustomized("standard"), "Namespace")["metadata"]["labels"]
    levels = {f"pod-security.kubernetes.io/{mode}" for mode in ("enforce", "audit", "warn")}
    assert {labels[each] for each in levels} == {"privileged"}


def test_the_options_exist(manifests: list[Manifest]) -> None:
    _, parser = build_parser("exporter")
    assert parser is not None
    known = variables_of(parser._actions).keys()
    given = {each for each in environment(manifests) if each.startswith(PREFIX)}
    assert given
    assert given <= known


def test_ports_paths_and_versions(manifests: list[Manifest]) -> None:
    only = container(manifests)
    asks = "CONTAINER_OOMKILL_KUBERNETES" in {each["name"] for each in only["env"]}
    flavour = "-full" if asks else ""  # the client is in that one alone
    assert only["image"] == f"container-oomkill-exporter{flavour}:{__version__}"
    (port,) = only["ports"]
    assert f":{port['containerPort']}" == LISTEN_ADDRESS
    for probe in ("livenessProbe", "readinessProbe"):
        assert only[probe]["httpGet"]["path"] in OWN_PATHS
        assert only[probe]["httpGet"]["port"] == port["name"]
    (offered,) = one(manifests, "Service")["spec"]["ports"]
    assert (offered["port"], offered["targetPort"]) == (port["containerPort"], port["name"])


def test_it_is_on_every_node_and_small(manifests: list[Manifest]) -> None:
    spec, resources = pod(manifests), container(manifests)["resources"]
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["priorityClassName"] == "system-node-critical"
    assert resources["limits"] == {"memory": "64Mi"}
    update = one(manifests, "DaemonSet")["spec"]["updateStrategy"]
    assert update["rollingUpdate"] == {"maxUnavailable": "10%"}


def test_it_says_why_and_ends_in_time(manifests: list[Manifest]) -> None:
    spec, only = pod(manifests), container(manifests)
    assert only["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert environment(manifests)[f"{PREFIX}RETRY_ATTACH"] == "true"
    assert spec["terminationGracePeriodSeconds"] >= 2 * PATIENCE_SECONDS
    node = next(each for each in only["env"] if each["name"] == "NODE_NAME")
    assert node["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}


def test_one_place_says_where_the_images_are(tmp_path: Path) -> None:
    """By tag and by digest, with kustomize's own command, for every overlay."""
    shutil.copytree(DEPLOY, tmp_path / "deploy", symlinks=True)
    tree = tmp_path / "deploy" / "kubernetes"
    digest = f"sha256:{'0' * 64}"
    done = subprocess.run(
        [
            *(tool("kustomize"), "edit", "set", "image"),
            f"{IMAGE}=registry.example/ops/oomkill:1.2",
            f"{IMAGE}-full=registry.example/ops/oomkill-full@{digest}",
        ],
        cwd=tree / "components" / "images",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name in OVERLAYS:
        done = run(tool("kustomize"), "build", str(tree / "overlays" / name))
        assert done.returncode == 0, done.stderr
        wanted = f"-full@{digest}" if name in API else ":1.2"
        assert container(objects(done.stdout))["image"] == f"registry.example/ops/oomkill{wanted}"


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_on_top_says_where_the_images_are(name: str, tmp_path: Path) -> None:
    relative = os.path.relpath(KUBERNETES / "overlays" / name, tmp_path)
    images = [{"name": each, "newName": f"registry.example/{each}"} for each in (IMAGE, FULL)]
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": [relative], "images": images})
    )
    done = run(tool("kustomize"), "build", str(tmp_path))
    assert done.returncode == 0, done.stderr
    image = FULL if name in API else IMAGE
    expected = f"registry.example/{image}:{__version__}"
    assert container(objects(done.stdout))["image"] == expected


def test_everything_is_what_an_ordinary_cluster_can_use() -> None:
    """No component is left out unseen, but those that are for some clusters only."""
    listed = yaml.safe_load((KUBERNETES / "overlays/everything/kustomization.yaml").read_text())
    everything = {Path(each).name for each in listed["components"]}
    apart = {"docker", "microk8s", "no-host-folders", "openshift", "resource-quota"}
    apart |= {"sys-admin", "sys-resource", "no-cgroup-files", "recursive-read-only"}
    apart |= {"otlp", "webhooks"}  # to whom is for the cluster to say
    assert everything | apart == {path.name for path in (KUBERNETES / "components").iterdir()}
    assert not everything & apart


@pytest.mark.parametrize("name", ["everything", "prometheus-operator"])
def test_kube_prometheus_stack_selects_them(name: str) -> None:
    """By the label that its Prometheus asks for, unless its values say otherwise."""
    for kind in ("PodMonitor", "PrometheusRule"):
        labels = one(kustomized(name), kind)["metadata"]["labels"]
        assert labels["release"] == "kube-prometheus-stack"


class TestPrometheusOperator:
    def test_the_rules_are_the_rules(self) -> None:
        """One source; to take over a change: the line in tools/prometheus_rule.py."""
        done = run(sys.executable, str(DEPLOY.parent / "tools" / "prometheus_rule.py"))
        assert done.stdout == RULE_OBJECT.read_text(encoding="utf-8")
        spec = one(kustomized("prometheus-operator"), "PrometheusRule")["spec"]
        assert unfolded(spec) == unfolded(yaml.safe_load(RULES.read_text(encoding="utf-8")))

    @pytest.mark.skipif(
        shutil.which("promtool") is None, reason="no promtool: apt install prometheus"
    )
    def test_prometheus_takes_them(self, tmp_path: Path) -> None:
        spec = one(kustomized("prometheus-operator"), "PrometheusRule")["spec"]
        rules = tmp_path / "rules.yml"
        rules.write_text(yaml.safe_dump(spec))
        done = run("promtool", "check", "rules", str(rules))
        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_job_is_the_one_of_the_rules(self) -> None:
        manifests = kustomized("prometheus-operator")
        monitor = one(manifests, "PodMonitor")["spec"]
        labels = one(manifests, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
        assert f'up{{job="{labels[monitor["jobLabel"]]}"}}' in RULES.read_text(encoding="utf-8")
        (endpoint,) = monitor["podMetricsEndpoints"]
        assert endpoint["honorLabels"] is True
        assert endpoint["port"] == container(manifests)["ports"][0]["name"]

    def test_the_dashboard_is_the_dashboard(self) -> None:
        data = one(kustomized("prometheus-operator"), "ConfigMap")["data"]
        (name, text), *others = data.items()
        assert not others
        assert text == (DEPLOY / "grafana" / "dashboards" / name).read_text(encoding="utf-8")
