# SPDX-License-Identifier: Apache-2.0
"""What doctor finds in a /proc and /sys on disk; nothing is attached: the object is damaged."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import pytest

from container_oomkill.doctor import checks
from container_oomkill.doctor.checks import examine, examine_socket
from container_oomkill.doctor.report import Finding, Report
from container_oomkill.identity.runtimes.sources import default_sources
from container_oomkill.libbpf.core_types import KERNEL_TYPES
from container_oomkill.probe import pins
from container_oomkill.probe.object_file import PACKAGED

from ..support.engine_server import Engine
from ..support.trees import C, docker_config, write

EVERYTHING, NOTHING = "000001ffffffffff", "0000000000000000"
BPF_AND_PERFMON = f"{1 << 38 | 1 << 39:016x}"
ADMIN = f"{1 << 21:016x}"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The folders of a host, with nothing of note in them."""
    write(tmp_path / "proc/self/status", f"Name:\tx\nCapEff:\t{NOTHING}\n")
    write(tmp_path / "proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
    write(tmp_path / "object", "damaged")
    (tmp_path / "sys").mkdir()
    return tmp_path


def examined(host: Path, *, btf: str | None = None, users: str | None = None) -> Report:
    return examine(
        object_path=str(host / "object"),
        btf=btf,
        sources=default_sources(root=str(host), users=users),
        proc=host / "proc",
        sys=host / "sys",
    )


def test_a_damaged_object_is_what_keeps_a_probe_from_attaching(host: Path) -> None:
    report = examined(host)
    assert not report.can_attach
    assert "hooks" not in report.findings
    finding = report.findings["object"]["oomkill.bpf.o"]
    assert finding.ok is False
    assert finding.words.startswith(f"refused the BPF object {host}/object: damaged")


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (NOTHING, {"CAP_BPF": "not held", "CAP_PERFMON": "not held"}),
        (BPF_AND_PERFMON, {"CAP_BPF": "held", "CAP_PERFMON": "held"}),
        (ADMIN, dict.fromkeys(("CAP_BPF", "CAP_PERFMON"), "not held, but CAP_SYS_ADMIN is")),
        (EVERYTHING, {"CAP_BPF": "held", "CAP_PERFMON": "held"}),
    ],
)
def test_capabilities(host: Path, held: str, words: dict[str, str]) -> None:
    write(host / "proc/self/status", f"Name:\tx\nCapEff:\t{held}\n")
    write(host / "proc/sys/kernel/perf_event_paranoid", "2\n")
    found = examined(host).findings["privileges"]
    assert {name: found[name].words for name in words} == words
    assert found["CAP_BPF"].ok is (held != NOTHING)
    assert (found["CAP_BPF"].remedy is None) is (held != NOTHING)
    assert found["perf_event_paranoid"].words == "2"


@pytest.mark.parametrize(
    ("kernel", "held", "ok"),
    [("5.10.9", NOTHING, False), ("5.10.9", EVERYTHING, True), ("5.11.0-rc1", NOTHING, True)],
)
def test_locked_memory(
    host: Path, kernel: str, held: str, ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "release", lambda: kernel)
    write(host / "proc/self/status", f"CapEff:\t{held}\n")
    finding = examined(host).findings["privileges"]["locked memory"]
    assert finding.ok is ok
    assert (finding.remedy is None) is ok


def test_cgroups_and_lockdown(host: Path) -> None:
    kernel = examined(host).findings["kernel"]
    assert kernel["memory cgroups"].words == "cgroup v2"
    assert kernel["lockdown"] == Finding(True, "none")
    write(host / "proc/self/mounts", "proc /proc proc rw 0 0\n")
    assert "not mounted here" in examined(host).findings["kernel"]["memory cgroups"].words
    header = "#subsys_name hierarchy num_cgroups enabled\n"
    write(host / "proc/cgroups", f"{header}cpu 3 1 1\nmemory 7 9 1\n")
    write(host / "sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    kernel = examined(host).findings["kernel"]
    assert kernel["memory cgroups"].words == "cgroup v1"
    assert kernel["lockdown"] == Finding(True, "integrity")
    write(host / "sys/kernel/security/lockdown", "none integrity [confidentiality]\n")
    assert examined(host).findings["kernel"]["lockdown"].ok is False


def test_types(host: Path) -> None:
    missing = examined(host).findings["kernel"]["BTF"]
    assert missing.ok is False
    assert missing.words == f"{host}/sys/kernel/btf/vmlinux does not exist"
    assert "--btf FILE" in str(missing.remedy)
    damaged = write(host / "btf", "damaged")
    assert examined(host, btf=str(damaged)).findings["kernel"]["BTF"].ok is False


@pytest.mark.skipif(not Path(KERNEL_TYPES).exists(), reason=f"this kernel has no {KERNEL_TYPES}")
def test_this_kernels_types(host: Path) -> None:
    found = examined(host, btf=KERNEL_TYPES).findings["kernel"]["BTF"]
    assert found == Finding(True, KERNEL_TYPES)


def test_runtimes(host: Path) -> None:
    folder = host / "var/lib/docker/containers"
    write(folder / C / "config.v2.json", docker_config())
    found = examined(host).findings["runtimes"]
    assert found["docker"] == Finding(True, f"1 container ({folder})")
    crio = found["crio"]
    assert crio.ok is None
    assert crio.words.startswith(f"no state found in {host}/")
    assert str(crio.remedy).endswith("or use --state.crio DIR")
    write(folder / ("5" * 64) / "config.v2.json", "{")
    words = examined(host).findings["runtimes"]["docker"].words
    assert "1 skipped: " in words


@pytest.mark.parametrize("names", [(), ("web",), ("web", "db")])
def test_a_socket(names: Sequence[str], tmp_path: Path) -> None:
    engine = Engine(tmp_path / "socket")
    for number, name in enumerate(names):
        engine.start(f"{number:064x}", name)
    report = Report("6.1", "x86_64")
    with engine.serving():
        examine_socket(report, str(engine.path))
    many = "s" * (len(names) != 1)
    words = f"{len(names)} container{many} ({engine.path})"
    assert report.findings["runtimes"]["socket"] == Finding(True, words)


def test_a_socket_that_nobody_serves(tmp_path: Path) -> None:
    report = Report("6.1", "x86_64")
    examine_socket(report, str(tmp_path / "none"))
    finding = report.findings["runtimes"]["socket"]
    assert finding.ok is False
    assert f"-v {tmp_path}/none:{tmp_path}/none" in str(finding.remedy)


def test_no_place_for_pins(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each hook that attaches is asked; here one that would, on a host without bpf mounts."""
    report = Report("6.1", "x86_64")
    report.add("hooks", "fentry", Finding(True, "attached and detached"))
    data = Path(PACKAGED).read_bytes()
    checks._examine_pinning(report, data, None, host / "proc")
    finding = report.findings["pinning"]["--pin"]
    assert finding.ok is False
    assert "mount -t bpf bpf" in str(finding.remedy)
    write(host / "proc/self/mounts", f"bpf {host}/bpf bpf rw 0 0\n")
    checks._examine_pinning(report, data, None, host / "proc")  # one for another's use
    assert "fentry" not in report.findings["pinning"]
    monkeypatch.setattr(pins, "USUAL_MOUNT", f"{host}/bpf")
    monkeypatch.setattr(pins, "DEFAULT_FOLDER", f"{host}/bpf/container-oomkill")
    checks._examine_pinning(report, data, None, host / "proc")
    finding = report.findings["pinning"]["fentry"]
    assert finding.ok is False  # there is no such folder
    assert finding.words.startswith(f"pin the hooks in {host}/bpf/container-oomkill-doctor-")
