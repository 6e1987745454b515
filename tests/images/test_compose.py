# SPDX-License-Identifier: Apache-2.0
"""docker-compose.yml: what it asks for, and a kill from the hog to Prometheus.

Prometheus here is the machine's own, in an image of the name that the file asks for. Grafana is
not here: its provisioning and its dashboard are held against each other and against the file.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.exporter.settings import ExporterSettings
from container_oomkill.otlp.settings import OtlpSettings

from ..support.images.engine import BASE, REPOSITORY, Docker
from ..support.runtimes.running import program
from ..support.waiting import eventually

GRAFANA = REPOSITORY / "deploy/grafana"
SERVICES = ("exporter", "prometheus", "hog")
SECONDS = 60
BRIDGE = "oomkill-up"
# The machine of the test may be without CAP_SYS_RESOURCE, which a lower score asks for.
OVERRIDE = f"""\
services: {{exporter: {{oom_score_adj: 0}}}}
networks: {{default: {{driver_opts: {{com.docker.network.bridge.name: {BRIDGE}}}}}}}
"""
PROMETHEUS = f"""\
FROM {BASE}
COPY prometheus /bin/
WORKDIR /prometheus
ENTRYPOINT ["prometheus"]
"""


def config(docker: Docker, *files: str) -> dict[str, Any]:
    """What compose makes of the files; a warning is a failure."""
    options = [word for file in files for word in ("-f", file)]
    done = docker.run("compose", *options, "config", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


def test_least_privileges(session_docker: Docker) -> None:
    services = config(session_docker)
    exporter = services["exporter"]
    assert exporter["cap_drop"] == ["ALL"]
    assert sorted(exporter["cap_add"]) == ["BPF", "PERFMON"]
    assert exporter["read_only"] is True
    assert exporter["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "pid", "ipc", "devices", "userns_mode"} & set(exporter)
    assert all(volume["read_only"] for volume in exporter["volumes"])
    for service in services.values():
        assert "privileged" not in service
        for port in service.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1"


def test_for_older_engines(session_docker: Docker) -> None:
    files = ("docker-compose.yml", "docker-compose.legacy.yml")
    before, after = config(session_docker), config(session_docker, *files)
    assert after["exporter"].pop("cap_add") == ["SYS_ADMIN"]
    del before["exporter"]["cap_add"]
    assert after == before


LOGS = ("docker-compose.yml", "docker-compose.logs.yml")


@pytest.mark.parametrize("files", [(), LOGS], ids=["", "logs"])
def test_what_is_mounted_is_there(session_docker: Docker, files: tuple[str, ...]) -> None:
    for name in ("prometheus", "grafana"):
        for volume in config(session_docker, *files)[name]["volumes"]:
            assert Path(volume["source"]).exists()
            assert volume["read_only"] is True


def test_with_the_logs(session_docker: Docker) -> None:
    """What sends is in the full image, with no more rights; Loki is the one that is tested."""
    before, after = config(session_docker), config(session_docker, *LOGS)
    exporter = after["exporter"]
    given = exporter.pop("environment")
    settings = OtlpSettings.from_options(ExporterSettings(), given)
    assert settings is not None
    assert settings.url == "http://loki:3100/otlp/v1/logs"
    assert exporter.pop("image") == f"{before['exporter'].pop('image')}-full"
    assert list(exporter.pop("depends_on")) == ["loki"]
    for each in (exporter, before["exporter"]):
        each.pop("build")
    assert exporter == before["exporter"]
    script = (REPOSITORY / "tools/collector-tools.sh").read_text()
    (version,) = re.findall(r"^loki=v(\S+)$", script, re.MULTILINE)
    assert after["loki"]["image"] == f"grafana/loki:{version}"
    (port,) = after["loki"]["ports"]
    assert port["host_ip"] == "127.0.0.1"
    text = (REPOSITORY / "deploy/docker/logs/datasources/sources.yml").read_text()
    assert re.findall(r"^ +type: (\S+)", text, re.MULTILINE) == ["prometheus", "loki"]
    for variable in re.findall(r"\$\{(\w+)\}", text):
        assert after["grafana"]["environment"][variable]
    provider = "dashboards/container-oomkill.yml"
    shipped = (GRAFANA / "provisioning" / provider).read_text()
    assert (REPOSITORY / "deploy/docker/logs" / provider).read_text() == shipped


def test_prometheus_asks_the_exporter(session_docker: Docker) -> None:
    text = (REPOSITORY / "deploy/docker/prometheus.yml").read_text()
    example = (REPOSITORY / "deploy/prometheus/prometheus.yml").read_text()
    assert "targets: [exporter:9262]" in text
    assert config(session_docker)["exporter"]["ports"][0]["target"] == 9262
    for line in ("rule_files: [rules/*.yml]", "honor_labels: true"):
        assert line in text
        assert line in example
    assert re.findall(r"job_name: (\S+)", text) == re.findall(r"job_name: (\S+)", example)


@pytest.fixture
def dashboard() -> dict[str, Any]:
    text = (GRAFANA / "dashboards/container-oomkill.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


class TestGrafana:
    def test_provisioning(self, session_docker: Docker, dashboard: dict[str, Any]) -> None:
        service = config(session_docker)["grafana"]
        targets = {volume["target"] for volume in service["volumes"]}
        provider = (GRAFANA / "provisioning/dashboards/container-oomkill.yml").read_text()
        [folder] = re.findall(r"path: (\S+)", provider)
        assert folder in targets
        assert "/etc/grafana/provisioning" in targets
        home = service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert Path(home).parent == Path(folder)
        assert (GRAFANA / "dashboards" / Path(home).name).exists()
        source = (GRAFANA / "provisioning/datasources/prometheus.yml").read_text()
        for variable in re.findall(r"\$\{(\w+)\}", source):
            assert service["environment"][variable]
        [kind] = re.findall(r"^ +type: (\S+)", source, re.MULTILINE)
        variables = {each["name"]: each for each in dashboard["templating"]["list"]}
        assert variables["datasource"]["query"] == kind

    def test_panels(self, dashboard: dict[str, Any]) -> None:
        """As Grafana's schema 39 has them: ids, places on 24 columns, none shared."""
        assert dashboard["schemaVersion"] >= 36
        assert {"uid", "title", "time", "refresh"} <= set(dashboard)
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            place = panel["gridPos"]
            assert 0 <= place["x"] <= place["x"] + place["w"] <= 24, panel["title"]
            cells = {
                (place["x"] + column, place["y"] + line)
                for column in range(place["w"])
                for line in range(place["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells
            if panel["type"] != "row":
                assert panel["datasource"]["uid"] == "${datasource}"
                assert all(target["expr"] and target["refId"] for target in panel["targets"])


@pytest.fixture
def prometheus_image(docker: Docker, tmp_path: Path) -> Iterator[None]:
    shutil.copy(program("prometheus", "prometheus"), tmp_path / "prometheus")
    (tmp_path / "Dockerfile").write_text(PROMETHEUS)
    name = config(docker)["prometheus"]["image"]
    docker("build", "-q", "-t", name, str(tmp_path))
    yield
    docker("image", "rm", "-f", name)


@pytest.fixture
def forwarded() -> Iterator[None]:
    """Let the containers reach each other: an engine that has stopped leaves FORWARD at DROP."""
    rule = ("FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT")
    subprocess.run([program("iptables", "iptables"), "-I", *rule], check=True)
    yield
    subprocess.run([program("iptables", "iptables"), "-D", *rule], check=True)


@pytest.mark.usefixtures("prometheus_image", "forwarded")
def test_a_kill_reaches_prometheus(docker: Docker, tmp_path: Path) -> None:
    """`make up`, and its hog's kill is in Prometheus by its name, within a minute."""
    files = ["docker-compose.yml"]
    if docker.version() < 23:
        files.append("docker-compose.legacy.yml")
    project = "oomkill-test"
    override = tmp_path / "test.yml"
    override.write_text(OVERRIDE)
    compose = ["compose", "-p", project, "--project-directory", str(REPOSITORY)]
    compose += [word for file in (*files, str(override)) for word in ("-f", file)]
    docker.environ["DOCKER_ROOT"] = str(docker.root)
    started = time.monotonic()
    try:
        docker(*compose, "up", "-d", "--no-build", *SERVICES, timeout=SECONDS)
        query = 'container_oomkill_total{container="oomkill-test-hog"} > 0'
        found = eventually(lambda: ask(query), SECONDS - (time.monotonic() - started))
        print(f"in Prometheus {time.monotonic() - started:.0f} s after `up`: {found}")
        assert found[0]["metric"]["scope"] == "container"
        assert ask('up{job="container-oomkill"}')[0]["value"][1] == "1"
        eventually(lambda: ask('ALERTS{alertname="ContainerOomKilled"}'))
        shown = docker(*compose, "exec", "-T", "exporter", "container-oomkill", "show")
        assert "  oomkill-test-hog" in shown
        eventually(lambda: int(docker("inspect", "-f", "{{.RestartCount}}", "oomkill-test-hog-1")))
    finally:
        docker(*compose, "logs", "exporter")
        docker(*compose, "down", "--volumes", "-t", "5")


def ask(query: str) -> list[dict[str, Any]]:
    url = "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result
    except (urllib.error.URLError, ConnectionError):
        return []  # it is not up yet


def test_hadolint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    subprocess.run([hadolint, REPOSITORY / "Dockerfile"], check=True)
