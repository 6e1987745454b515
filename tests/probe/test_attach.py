# SPDX-License-Identifier: Apache-2.0
"""Attaching where it is refused: without privileges, without types; and which hook comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from container_oomkill import libbpf
from container_oomkill.errors import BpfError, UnsupportedError, UsageError
from container_oomkill.libbpf.core_types import KERNEL_TYPES
from container_oomkill.probe import attach as attaching
from container_oomkill.probe.attach import CANDIDATE_SCAN, PROGRAMS, attach
from container_oomkill.probe.object_file import read_object

from ..support import unprivileged
from ..support.pinned import FolderPins, Loaded, on_files

DATA = b"no object"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return on_files(monkeypatch, tmp_path / "bpf")


REFUSED = """
import sys
from container_oomkill.errors import UnsupportedError
from container_oomkill.probe.attach import attach
from container_oomkill.probe.object_file import read_object
try:
    attach(read_object(), hook=sys.argv[1] or None, cmdline=True, debug=True)
except UnsupportedError as error:
    print(error)
    print(error.__cause__.log)
"""


def refusing(monkeypatch: pytest.MonkeyPatch, *refused: str | int, log: str = "") -> list[Any]:
    """Have the kernel refuse these hooks' programs; return what is asked of it, and what is given.

    Which programs it takes is the kernel's to say: tests/kernel and the matrix have it say so. This
    one is not asked which hooks it is sure to refuse.
    """
    tried: list[Any] = []

    class Given:
        refused: Any = None

        def __init__(self, hook: str) -> None:
            self.hook = hook
            self.checkpoint = type("Checkpoint", (), {"kills": 5})()

    def attach_programs(hook: str, programs: tuple[str, ...], *_: Any) -> Given:
        tried.append((hook, len(programs)))
        if hook in refused or len(programs) in refused:
            raise BpfError(22, "load the BPF object", "invalid argument", log)
        return Given(hook)

    monkeypatch.setattr(attaching, "_attach_programs", attach_programs)
    monkeypatch.setattr(attaching, "in_order", lambda hooks, _: list(hooks))
    return tried


def test_the_first_hook_that_attaches_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = refusing(monkeypatch, "fentry")
    probe = attach(DATA)
    assert probe.hook == "kprobe"
    assert list(probe.refused) == ["fentry"]
    assert probe.kills_before == 5
    scan = len(PROGRAMS["kprobe"]) + len(CANDIDATE_SCAN["kprobe"])
    assert tried[-1] == ("kprobe", scan)


def test_a_hook_that_is_forced_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = refusing(monkeypatch, "kprobe")
    with pytest.raises(UnsupportedError, match=r"no hook can be attached .*\(kprobe: load the"):
        attach(DATA, hook="kprobe")
    assert {hook for hook, _ in tried} == {"kprobe"}


@pytest.mark.parametrize("words", attaching.NO_CANDIDATE_SCAN)
def test_without_the_candidate_scan_where_the_kernel_has_none(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(PROGRAMS["fentry"]) + len(CANDIDATE_SCAN["fentry"])
    tried = refusing(monkeypatch, whole, log=f"libbpf: prog: failed to {words}'\n")
    assert attach(DATA).hook == "fentry"
    assert tried == [("fentry", whole), ("fentry", len(PROGRAMS["fentry"]))]


@pytest.mark.parametrize("hook", ["", "fentry", "kprobe", "raw_tracepoint"])
def test_without_privileges(hook: str) -> None:
    """The real object, opened, set up and handed to the kernel, which says no to each hook."""
    done = unprivileged.python("-c", REFUSED, hook)
    refusal, _, log = done.stdout.partition("\n")
    assert refusal.startswith("no hook can be attached (")
    assert refusal.endswith("`container-oomkill doctor` shows what is missing")
    for each in [hook] if hook else PROGRAMS:
        assert f"{each}: load the BPF object: operation not permitted" in refusal
    assert "libbpf: " in log


def test_no_types(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    with pytest.raises(UsageError, match=rf"types from {missing}: no such file"):
        attach(DATA, btf=missing)
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"no types")
    with pytest.raises(UsageError, match="neither BTF nor ELF: use a copy of the kernel's"):
        attach(DATA, btf=str(wrong))
    refusing(monkeypatch, *PROGRAMS)
    monkeypatch.setattr(attaching, "KERNEL_TYPES", missing)
    words = f"this kernel has no {missing}, and --btf is not set; fentry: "
    with pytest.raises(UnsupportedError, match=words):
        attach(DATA)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Loaded:
    """What the kernel would make of the real object, once it is opened and set up."""
    made = Loaded(tmp_path / "maps")
    monkeypatch.setattr(libbpf.OpenObject, "load", lambda _: made)
    return made


def test_programs_are_attached_in_their_order_and_detached(loaded: Loaded, proc: str) -> None:
    del proc
    with attach(read_object(), hook="fentry") as probe:
        assert (*loaded.attached,) == (*PROGRAMS["fentry"], *CANDIDATE_SCAN["fentry"])
        assert not loaded.parsed
        assert probe.features()["candidates"]
        assert probe.number == 0
    assert all(link.closed for link in loaded.attached.values())
    assert loaded.closed


def test_what_is_attached_comes_off_where_the_next_is_refused(loaded: Loaded, proc: str) -> None:
    del proc
    name = CANDIDATE_SCAN["fentry"][0]
    loaded.refuses[name] = BpfError(1, f"attach {name}", "operation not permitted")
    with pytest.raises(UnsupportedError, match=f"fentry: attach {name}: operation not permitted"):
        attach(read_object(), hook="fentry")
    assert len(loaded.attached) == len(PROGRAMS["fentry"])
    assert all(link.closed for link in loaded.attached.values())
    assert loaded.closed


def test_what_is_pinned_is_not_attached_again(
    loaded: Loaded, proc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_object()
    with attach(data, hook="kprobe", pins=FolderPins(proc=proc)) as probe:
        assert probe.number == 1
        assert probe.checkpoint.generation == 1
    monkeypatch.setattr(libbpf, "open_object", lambda *_: pytest.fail("opened once more"))
    loaded.attached.clear()
    with attach(data, hook="kprobe", pins=FolderPins(proc=proc)) as probe:
        assert (probe.number, list(probe.older)) == (1, [])
    assert not loaded.attached


def test_pins_are_let_go_where_they_cannot_be_taken_up(
    loaded: Loaded, proc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise BpfError(1, "open ring", "operation not permitted")

    pins = FolderPins(proc=proc)
    monkeypatch.setattr(pins, "older", refuse)
    with pytest.raises(BpfError, match="open ring"):
        attach(read_object(), hook="raw_tracepoint", pins=pins)
    assert loaded.closed
    FolderPins(proc=proc).close()  # nothing holds the lock


@pytest.mark.skipif(not Path(KERNEL_TYPES).exists(), reason=f"this kernel has no {KERNEL_TYPES}")
def test_types_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch)
    assert attach(DATA, btf=KERNEL_TYPES).hook == "fentry"
