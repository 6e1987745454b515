# SPDX-License-Identifier: Apache-2.0
"""How a command attaches where nothing is asked of it."""

from __future__ import annotations

from container_oomkill.cli.attaching import AttachSettings
from container_oomkill.recorder.settings import RecorderSettings

ATTACH = AttachSettings(
    object_file=None,
    btf=None,
    hook=None,
    ring_bytes=1 << 20,
    cmdline=False,
    debug=False,
    pin=None,
    oom_score_adj=-999,
    recorder=RecorderSettings(),
    killers=True,
)
