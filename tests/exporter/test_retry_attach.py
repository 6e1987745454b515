# SPDX-License-Identifier: Apache-2.0
"""An exporter that cannot attach and was asked to stay: what it serves, says, and ends with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_oomkill.errors import Error, UnsupportedError
from container_oomkill.exporter.exporter import ExporterSettings
from container_oomkill.exporter.retry_attach import attach_in_time
from container_oomkill.probe.probe import Probe
from container_oomkill.system.shutdown import ShutdownRequest

from ..support.waiting import PATIENCE_SECONDS

REASON = "read the kernel's types from {btf}: no such file or directory"


def start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "container_oomkill", "exporter", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def btf(tmp_path: Path) -> Path:
    """No such file, so that no right is needed to be refused."""
    return tmp_path / "btf"


@pytest.fixture
def waiting(btf: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and where it listens: a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = ("--retry-attach", "--btf", str(btf), "--web.listen-address", address)
    with start(*options) as process:
        yield process, address
        process.kill()


def get(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_stays_not_ready_and_says_why(
    waiting: tuple[subprocess.Popen[str], str], btf: Path
) -> None:
    process, address = waiting
    assert process.stderr is not None
    reason = REASON.format(btf=btf)
    assert process.stderr.readline() == f"container-oomkill: {reason}; retrying in 5 s\n"
    assert get(address, "/healthz") == (200, "ok\n")
    assert get(address, "/readyz") == (503, f"not ready: {reason}\n")
    status, metrics = get(address, "/metrics")
    assert status == 200
    assert "container_oomkill_build_info{" in metrics
    assert "container_oomkill_probe_info{" not in metrics
    _, page = get(address, "/")
    assert "Not watching yet." in page
    assert "Watching since" not in page
    assert "The kernel has not run out of memory" not in page
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (2, "")
    assert errors == f"container-oomkill: {reason}\n"  # the last line: the termination message


def test_a_place_for_pins_is_waited_for(tmp_path: Path) -> None:
    pins = ("--pin", str(tmp_path / "pins"), "--web.listen-address", "127.0.0.1:0")
    with start("--retry-attach", *pins) as process:
        assert process.stderr is not None
        words = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert words.startswith(f"container-oomkill: pin the hooks in {tmp_path}/pins: ")
    assert words.endswith("; retrying in 5 s\n")
    assert (process.returncode, errors) == (3, words.replace("; retrying in 5 s", ""))


def test_without_the_option_it_ends_at_once(btf: Path) -> None:
    with start("--btf", str(btf)) as process:
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (2, f"container-oomkill: {REASON.format(btf=btf)}\n")


class Attempts:
    """Refuses a number of times, each in other words; then gives ``probe``."""

    def __init__(self, refusals: int, probe: Probe) -> None:
        self.left = refusals
        self.probe = probe

    def __call__(self) -> Probe:
        if self.left:
            self.left -= 1
            raise UnsupportedError(f"refused, {self.left} to go")
        return self.probe


@pytest.fixture
def stop() -> Iterator[ShutdownRequest]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    made = ShutdownRequest()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)
    os.close(made.event)


def settings() -> ExporterSettings:
    return ExporterSettings(listen_addresses=("127.0.0.1:0",))


def test_it_attaches_as_soon_as_it_may(
    stop: ShutdownRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = Probe.__new__(Probe)
    attempts = Attempts(2, probe)
    refused = UnsupportedError("refused")
    assert attach_in_time(attempts, refused, settings(), stop, first_seconds=0.01) is probe
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "container-oomkill: refused",
        "container-oomkill: refused, 1 to go",
        "container-oomkill: refused, 0 to go",
    ]


def test_a_stop_ends_it_with_the_refusal(stop: ShutdownRequest) -> None:
    stop.set()
    refused = UnsupportedError("refused")
    with pytest.raises(Error) as raised:
        attach_in_time(Attempts(1, Probe.__new__(Probe)), refused, settings(), stop)
    assert raised.value is refused
