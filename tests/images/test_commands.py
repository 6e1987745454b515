# SPDX-License-Identifier: Apache-2.0
"""Every command, in the images: a module that was left out shows here."""

from __future__ import annotations

import base64
import json
import ssl
import statistics
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest

from ..support.images.engine import EXPORTER, FULL, IMAGES, PROBE, REPOSITORY, Docker
from ..support.images.kills import PYTHON, get, kill, sample, start_exporter
from ..support.waiting import eventually

RECORDING = (REPOSITORY / "deploy/docker/recording.jsonl").read_text()
# From exec to attached, the same inside and outside: no engine in between.
STOPWATCH = """
import os, signal, sys, time
out, into = os.pipe()
started = time.monotonic()
pid = os.fork()
if pid == 0:
    os.dup2(into, 2)
    os.execv(sys.argv[1], [sys.argv[1], "probe"])
os.close(into)
said = os.read(out, 4096)
took = time.monotonic() - started
os.kill(pid, signal.SIGTERM)
os.waitpid(pid, 0)
print(took if said.startswith(b"container-oomkill: attached") else said)
"""

each_image = pytest.mark.parametrize("image", IMAGES)


def run(
    docker: Docker, image: str, *arguments: str, options: tuple[str, ...] = (), stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    command = ("run", "--rm", "-i", "--network=none", *options, image, *arguments)
    done = docker.run(*command, stdin=stdin)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@each_image
def test_version_and_help(docker: Docker, image: str) -> None:
    version = run(docker, image, "--version")
    assert "libbpf" in version.stdout
    for command in ((), ("probe",), ("exporter",), ("doctor",), ("replay",)):
        done = run(docker, image, *command, "--help")
        assert done.returncode == 0
        assert "usage: container-oomkill" in done.stdout


@each_image
def test_wrong_usage_is_one_line(docker: Docker, image: str) -> None:
    done = run(docker, image, "probe", "--no-such-option")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@each_image
def test_without_rights_it_says_so(docker: Docker, image: str) -> None:
    done = run(docker, image)
    assert done.returncode == 3
    assert done.stderr.startswith("container-oomkill: ")


@each_image
def test_doctor(docker: Docker, image: str) -> None:
    without = run(docker, image, "doctor")
    assert without.returncode == 3
    assert "FAILED: no hook attaches" in without.stdout
    options = docker.privileges()
    done = run(docker, image, "doctor", options=options)
    assert done.returncode == 0, done.stdout
    assert "\nOK: attaches with " in done.stdout
    report = json.loads(run(docker, image, "doctor", "-o", "json", options=options).stdout)
    assert report["can_attach"] is True


@each_image
@pytest.mark.parametrize("form", ["text", "json", "logfmt"])
def test_replay(docker: Docker, image: str, form: str) -> None:
    done = run(docker, image, "replay", "-o", form, "-", stdin=RECORDING)
    assert done.returncode == 0, done.stderr
    assert "shop-hog" in done.stdout


def test_show(docker: Docker) -> None:
    name = json.loads(RECORDING)["boot_ns"]
    done = run(docker, EXPORTER, "show", "--from", "-", f"{name:x}", stdin=RECORDING)
    assert done.returncode == 0, done.stderr
    assert "shop-hog" in done.stdout
    for image in (EXPORTER, FULL):
        asked = run(docker, image, "show", "--url", "https://127.0.0.1:1")
        assert asked.returncode == 1
        assert "connection refused" in asked.stderr
        explained = run(docker, image, "explain", "own-limit")
        assert explained.stdout.startswith("own-limit\n")
        assert "shop-hog" in run(docker, image, "demo").stdout


@pytest.mark.parametrize("user", ["0", "65534:65534"])
@pytest.mark.parametrize(
    "options",
    [(), ("-e", "CONTAINER_OOMKILL_WEB_LISTEN_ADDRESS=127.0.0.1:8080")],
    ids=["default", "another address"],
)
def test_show_within_the_exporters_container(
    docker: Docker, options: tuple[str, ...], user: str
) -> None:
    """As `docker compose exec exporter container-oomkill show`: no root, no BPF, no address."""
    name = "oomkill-test-within"
    docker.start(name, *docker.privileges(), "--network=none", *options, EXPORTER)
    docker.wait_for(name, "listening on")
    kill(docker, "oomkill-test-mine")
    docker.wait_for(name, "oomkill-test-mine")
    # There may be others' kills on this machine.
    mine = ("--container", "oomkill-test-mine")
    shown = docker("exec", "-u", user, name, "container-oomkill", "show", *mine)
    head, row, *_ = shown.splitlines()
    assert head.split() == ["id", "when", "container", "scope", "limit", "verdict"]
    assert "  oomkill-test-mine  container  64.0 MiB  " in row
    one = docker("exec", "-u", user, name, "container-oomkill", "show", row.split()[0])
    assert "container-oomkill explain " in one


@pytest.mark.parametrize(
    ("image", "command"),
    [
        (PROBE, ("exporter",)),
        (PROBE, ("show",)),
        (EXPORTER, ("exporter", "--kubernetes", "--kubernetes.node", "here")),
    ],
)
def test_an_image_knows_what_it_is_not(
    docker: Docker, image: str, command: tuple[str, ...]
) -> None:
    done = run(docker, image, *command, options=docker.privileges())
    assert done.returncode == 2, done.stderr
    assert "use container-oomkill-exporter-full" in done.stderr


def test_the_exporter_keeps_incidents(docker: Docker) -> None:
    """In a folder of its own: a kill is there after the exporter has ended and begun anew."""
    kept = ("exporter", "--history", "/kept/incidents", "--web.listen-address", "127.0.0.1:0")
    options = (*docker.privileges(), "--network=host", "-v", "oomkill-test-kept:/kept")
    try:
        docker.start("oomkill-test-before", *options, EXPORTER, *kept)
        docker.wait_for("oomkill-test-before", "listening on")
        kill(docker, "oomkill-test-yesterday")
        docker.wait_for("oomkill-test-before", "oomkill-test-yesterday")
        docker("stop", "-t", "5", "oomkill-test-before")
        docker.start("oomkill-test-after", *options, EXPORTER, *kept)
        said = docker.wait_for("oomkill-test-after", "listening on")
        port = int(said.partition("listening on ")[2].split()[0].rpartition(":")[2])
        assert "oomkill-test-yesterday" in get(port, "/api/v1/incidents")
    finally:
        docker.remove_all()
        docker("volume", "rm", "-f", "oomkill-test-kept")


def test_probe_records_a_kill(docker: Docker) -> None:
    """With no more than the documented rights; the name is the one its user gave it."""
    options = (*docker.privileges(), "--network=none")
    docker.start("oomkill-test-probe", *options, PROBE, "probe", "-o", "json")
    docker.wait_for("oomkill-test-probe", "attached with")
    kill(docker, "oomkill-test-shop")
    said = docker.wait_for("oomkill-test-probe", "oomkill-test-shop")
    records = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    [record] = [each for each in records if each["container"]["name"] == "oomkill-test-shop"]
    assert (
        record["container"]["id"] == docker("inspect", "-f", "{{.Id}}", "oomkill-test-shop").strip()
    )
    assert record["domain"]["limit_bytes"] == 64 << 20
    assert record["victims"][0]["pid_in_container"] == 1
    docker("stop", "-t", "5", "oomkill-test-probe")
    assert docker("inspect", "-f", "{{.State.ExitCode}}", "oomkill-test-probe").strip() == "0"


def test_exporter_serves_a_kill(docker: Docker) -> None:
    port = start_exporter(docker, "oomkill-test-exporter")
    kill(docker, "oomkill-test-cart")
    line = eventually(lambda: sample(port, "container_oomkill_total", "oomkill-test-cart"))
    assert line is not None
    assert line.endswith((" 1", " 1.0"))
    for path in ("/", "/healthz", "/readyz", "/api/v1/incidents"):
        assert get(port, path)


def test_exporter_with_tls_and_a_password(docker: Docker, tmp_path: Path) -> None:
    key, cert, config = (tmp_path / name for name in ("key.pem", "cert.pem", "web.yml"))
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    command = ["htpasswd", "-niBC", "10", "reader"]
    made = subprocess.run(command, input="secret", capture_output=True, text=True, check=True)
    hashed = made.stdout.strip().removeprefix("reader:")
    config.write_text(
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
        f"basic_auth_users: {{reader: {hashed}}}\n"
    )
    for file in (key, config):
        file.chmod(0o400)
    tmp_path.chmod(0o755)
    port = start_exporter(
        docker,
        "oomkill-test-tls",
        *("--web.config.file", "/tls/web.yml"),
        options=("-v", f"{tmp_path}:/tls:ro"),
    )
    context = ssl.create_default_context(cafile=str(cert))
    password = base64.b64encode(b"reader:secret").decode()
    request = urllib.request.Request(f"https://localhost:{port}/metrics")
    request.add_header("Authorization", f"Basic {password}")
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        assert b"container_oomkill_build_info" in answer.read()


def test_attached_as_soon_as_outside(docker: Docker) -> None:
    outside, inside = [], []
    command = str(Path(sysconfig.get_path("scripts")) / "container-oomkill")
    options = (*docker.privileges(), *PYTHON)
    for _ in range(5):
        argv = [sys.executable, "-IS", "-c", STOPWATCH, command]
        outside.append(float(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout))
        image = ("-IS", "-c", STOPWATCH, "/usr/bin/container-oomkill")
        inside.append(float(run(docker, PROBE, *image, options=options).stdout))
    ratio = statistics.median(inside) / statistics.median(outside)
    print(f"inside {inside}, outside {outside}: {ratio:.2f}")
    assert ratio <= 2
