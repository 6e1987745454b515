# SPDX-License-Identifier: Apache-2.0
"""An object's bytes, 0.3 MiB, are not kept: libbpf has copied what it needs once it is open."""

from __future__ import annotations

import gc

import pytest

from container_oomkill import libbpf
from container_oomkill.probe.attach import attach
from container_oomkill.probe.object_file import read_object
from container_oomkill.recorder.settings import RecorderSettings


def test_nobody_reads_them_once_it_is_open(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = libbpf.open_object

    def open_object(data: bytes, name: str, types: libbpf.CoreTypes) -> libbpf.OpenObject:
        overwritten = bytearray(data)
        opened = whole(overwritten, name, types)
        overwritten[:] = b"\xff" * len(overwritten)
        return opened

    monkeypatch.setattr(libbpf, "open_object", open_object)
    with attach(read_object(), hook=hook, recorder=RecorderSettings()) as probe:
        assert probe.hook == hook


def test_nobody_keeps_them(hook: str) -> None:
    data = read_object()
    with attach(data, hook=hook, recorder=RecorderSettings()):
        assert gc.get_referrers(data) == []
