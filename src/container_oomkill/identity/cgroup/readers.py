# SPDX-License-Identifier: Apache-2.0
"""Takes what a cgroup's name has between a form's prefix and suffix, gives the id and name in it.

None where it is not what the runtime writes there: then the form is not the runtime's.
"""

from __future__ import annotations

from .systemd import unescape

_HEX = frozenset("0123456789abcdef")
_ALPHANUMERIC = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")
_BASE32 = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_IDENTIFIER = _ALPHANUMERIC | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ._-")


def hex64(text: str) -> tuple[str, str | None] | None:
    return (text, None) if len(text) == 64 and _HEX.issuperset(text) else None


def build(text: str) -> tuple[str, str | None] | None:
    """BuildKit's ids: 25 digits to base 36 (identity.NewID of github.com/moby/buildkit)."""
    return (text, None) if len(text) == 25 and _ALPHANUMERIC.issuperset(text) else None


def identifier(text: str) -> tuple[str, str | None] | None:
    """An id the user chose: github.com/containerd/containerd, pkg/identifiers."""
    if not 0 < len(text) <= 76 or not _IDENTIFIER.issuperset(text) or text[0] in "._-":
        return None
    return text, None if hex64(text) else text


def any_name(text: str) -> tuple[str, str | None] | None:
    return (text, text) if text else None


def machine(text: str) -> tuple[str, str | None] | None:
    name = unescape(text)
    return (name, name) if name else None


def libvirt(text: str) -> tuple[str, str | None] | None:
    """``qemu-3-web``: libvirt's number of this start, then the domain's name."""
    machine = unescape(text)
    _, number, name = (*machine.split("-", 2), "", "")[:3]
    return (machine, name) if name and number.isdecimal() else None


def nomad(text: str) -> tuple[str, str | None] | None:
    """``<allocation>.<task>``: an allocation has several tasks, so both are the id."""
    allocation, _, task = text.partition(".")
    return (text, task) if task and is_uuid(allocation) else None


def allocation(text: str) -> tuple[str, str | None] | None:
    return (text, None) if is_uuid(text) else None


def slurm(text: str) -> tuple[str, str | None] | None:
    """``job_42``; from 26.05 on the job's SLUID, ``s`` and base 32: slurmctld has its number."""
    number = text.removeprefix("job_")
    if number != text:
        return (text, text) if _is_number(number) else None
    sluid = text.removeprefix("s")
    known = 8 <= len(sluid) <= 20 and sluid != text and _BASE32.issuperset(sluid)
    return (text, text) if known else None


def buildah(text: str) -> tuple[str, str | None] | None:
    """``buildah-buildah2291``: buildah's number of this RUN step."""
    return (text, None) if _is_number(text.removeprefix("buildah-buildah")) else None


def process(text: str) -> tuple[str, str | None] | None:
    return (text, None) if _is_number(text) else None


def handle(text: str) -> tuple[str, str | None] | None:
    """A container's handle in Garden: Concourse's is a UUID, Diego's one and more behind it."""
    return (text, None) if is_uuid(text[:36]) and _IDENTIFIER.issuperset(text) else None


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 20 and text.isascii() and text.isdecimal()


def is_uid(text: str) -> bool:
    """A UUID; a static pod's is an MD5 sum."""
    return is_uuid(text) or (len(text) == 32 and _HEX.issuperset(text))


def is_uuid(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(map(_HEX.issuperset, parts))
