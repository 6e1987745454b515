# SPDX-License-Identifier: Apache-2.0
"""Who is told to stop and is slow to end is not taken for one that nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ..support.waiting import PATIENCE_SECONDS

STOPPED = """
import os, signal, sys, time
from container_oomkill.system import shutdown
from container_oomkill.errors import StuckError
shutdown.PATIENCE_SECONDS = {patience}
shutdown.ShutdownRequest().on_signals()
os.kill(os.getpid(), signal.SIGTERM)
try:
    {then}
except StuckError:
    sys.exit(1)
"""


@pytest.mark.parametrize(
    ("then", "status"),
    [("time.sleep(0.3)", 0), ("os.write(1, bytes(1 << 20))", 1)],
    ids=["slow", "stuck"],
)
def test_only_a_write_is_ended(then: str, status: int) -> None:
    unread, stdout = os.pipe()
    command = [sys.executable, "-c", STOPPED.format(then=then, patience=0.05)]
    with subprocess.Popen(command, stdout=stdout) as process:
        os.close(stdout)
        assert process.wait(PATIENCE_SECONDS) == status
    os.close(unread)


def test_an_alarm_at_the_very_end_is_none() -> None:
    """When Python gives up its handlers, the kernel's own for SIGALRM would end it as killed."""
    command = [sys.executable, "-c", STOPPED.format(then="time.sleep(0.05)", patience=0.0005)]
    assert [subprocess.run(command, check=False).returncode for _ in range(3)] == [0, 0, 0]


ELSEWHERE = """
import select, signal, threading, time
from container_oomkill.system.shutdown import ShutdownRequest
stop = ShutdownRequest()
stop.on_signals()

def signal_here():
    time.sleep(0.2)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=signal_here).start()
poll = select.poll()
poll.register(stop.event, select.POLLIN)
poll.poll()
assert stop.is_set()
"""


def test_a_signal_that_interrupts_no_system_call_is_heard() -> None:
    """As one is that comes between Python's last look and the call."""
    command = [sys.executable, "-c", ELSEWHERE]
    assert subprocess.run(command, check=False, timeout=PATIENCE_SECONDS).returncode == 0


MEANWHILE = """
import os, select, signal
from container_oomkill.system import shutdown
stop = shutdown.ShutdownRequest()
stop.on_signals()
stop.on_hang_up(1)

class Poll:
    def register(self, fd, mask):
        assert fd == 1

    def poll(self, seconds):
        os.kill(os.getpid(), signal.SIGTERM)
        return []  # somebody reads

shutdown.select.poll = Poll
assert stop.is_set()
assert stop.is_set()
"""


def test_a_signal_while_the_output_is_looked_at_is_heard() -> None:
    """It was forgotten: the process went on, and never slept again."""
    command = [sys.executable, "-c", MEANWHILE]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0
