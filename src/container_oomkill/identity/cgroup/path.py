# SPDX-License-Identifier: Apache-2.0
"""Takes a cgroup path, gives the runtime, the container's id, the pod's uid and its QoS class.

Pure text work on one table, `forms.PATTERNS`: a row per way a runtime names a container's cgroup.
What no row describes stays unknown; a process of no container is its systemd unit's.

Containers nest: kind's nodes, Docker in Docker, systemd inside a container. The innermost one
is the container whose memory it was. Whoever may create cgroups inside a container chooses
their names, though, so an inner id is a claim: `CgroupIdentity.outer_container_id` is the
outermost container, the only one whose name nothing inside a container can have made up.

A path that was too long starts with "…/" (incident.py): names at the root are missing, those
that follow are whole. A row that needs a name that is missing does not apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from .patterns import PATTERNS, CgroupPattern, hex64, is_uid
from .systemd import unescape

CUT = "…"
_UNITS = (".service", ".scope", ".mount", ".socket", ".swap")
_MANAGER_AT = 3  # /user.slice/user-1000.slice/user@1000.service
_QOS = {"": "Guaranteed", "burstable": "Burstable", "besteffort": "BestEffort"}


@dataclass(frozen=True, slots=True)
class CgroupIdentity:
    """Whose cgroup it is, as far as its path tells; None is unknown or none."""

    runtime: str | None = None  # "systemd" for what lies in a unit and in no container
    container_id: str | None = None  # of the innermost container
    outer_container_id: str | None = None  # of the outermost, where they nest
    pod_uid: str | None = None  # Kubernetes' uid; Podman's pod id
    qos: str | None = None  # as Kubernetes spells it: Guaranteed, Burstable, BestEffort
    container_cgroup: str | None = None  # the path up to the container's own cgroup
    pod_cgroup: str | None = None  # the path up to the pod's
    unit: str | None = None  # systemd's, as the path has it; never one inside a container
    name: str | None = None  # a name the path itself carries, for people


@lru_cache(maxsize=512)
def parse(path: str) -> CgroupIdentity:
    """Return whose cgroup ``path`` is; never raises. A container's path comes again and again."""
    names = path.split("/")  # names[0] is "" for the root, or CUT
    containers: list[tuple[int, CgroupPattern, str, str | None]] = []
    pods: list[tuple[int, int, str, str | None]] = []  # where it was read, and where it is
    for index in range(1, len(names)):
        if not names[index]:
            continue
        if read := _pod(names, index):
            pods.append((index, index, *read))
        elif match := _container(names, index, containers[-1][0] if containers else 0):
            containers.append((index, *match))
            # the slice is in the name where a runtime was told the wrong driver
            if ":" in names[index] and (read := _pod_slice(names[index].split(":")[0])):
                pods.append((index, 0, *read))
    # nspawn itself, the host's side of the container, next to its payload
    if containers and containers[-1][1].runtime == "nspawn":
        below = names[containers[-1][0] + 1 :]
        if below[:1] == ["supervisor"]:
            containers.pop()
    # What lies below the container was named from inside: no pod the container is in.
    inside = containers[-1][0] if containers else len(names)
    pods = [pod for pod in pods if pod[0] <= inside]
    _, pod_at, pod_uid, qos = pods[-1] if pods else (0, 0, None, None)
    pod_cgroup = "/".join(names[: pod_at + 1]) if pod_at else None
    if not containers:
        unit = _unit(names, whole=True)
        return CgroupIdentity(
            runtime="systemd" if unit else None,
            pod_uid=pod_uid,
            qos=qos,
            pod_cgroup=pod_cgroup,
            unit=unit,
            name=unescape(unit) if unit else None,
        )
    at, form, container_id, name = containers[-1]
    return CgroupIdentity(
        runtime=form.runtime,
        container_id=container_id,
        outer_container_id=containers[0][2] if len(containers) > 1 else None,
        pod_uid=pod_uid,
        qos=qos,
        container_cgroup="/".join(names[: at + 1]),
        pod_cgroup=pod_cgroup,
        unit=_unit(names[: containers[0][0]], whole=False),
        name=name,
    )


def _container(
    names: list[str], index: int, inside: int
) -> tuple[CgroupPattern, str, str | None] | None:
    """Match one name; ``inside``: where the container it lies in is, whose name is not ours."""
    name = names[index]
    if name.count(":") == 2 and (match := _misdriven(name)):
        return match
    if _is_podman_pod(names, index):
        return None
    for form in PATTERNS:
        if not (name.startswith(form.prefix) and name.endswith(form.suffix)):
            continue
        if form.below and form.below not in names[inside + 1 : index]:
            continue
        depth = len(form.under)
        if depth:
            if index - depth <= inside or (form.at_root and (index != depth + 1 or names[0])):
                continue
            above = zip(form.under, names[index - depth : index], strict=True)
            if any(want not in ("*", have) for want, have in above):
                continue
        text = name[len(form.prefix) : len(name) - len(form.suffix)]
        if read := form.read(text):
            return form, *read
    return None


def _misdriven(name: str) -> tuple[CgroupPattern, str, str | None] | None:
    """``<slice>:<prefix>:<id>``: systemd's notation, given to a runtime that uses cgroupfs."""
    _, prefix, text = name.split(":")
    for form in PATTERNS:
        if form.suffix == ".scope" and form.prefix == f"{prefix}-" and (read := form.read(text)):
            return form, *read
    return None


def _pod(names: list[str], index: int) -> tuple[str, str | None] | None:
    """Return a pod's uid and QoS class, if this name is a pod's cgroup."""
    name = names[index]
    if name.endswith(".slice"):
        return _pod_slice(name)
    if _is_podman_pod(names, index):
        return name.removeprefix("libpod_pod_"), None
    uid = name[3:]
    if not name.startswith("pod") or not is_uid(uid):
        return None
    # cgroupfs driver: kubepods[/burstable|/besteffort]/pod<uid>
    above = names[index - 1]
    if above == "kubepods":
        return uid, _QOS[""]
    if index == 1:
        return (uid, None) if above == CUT else None
    if above in ("burstable", "besteffort") and names[index - 2] in ("kubepods", CUT):
        return uid, _QOS[above]
    return None


def _pod_slice(name: str) -> tuple[str, str | None] | None:
    """systemd driver: [...-]kubepods[-burstable|-besteffort]-pod<uid with underscores>.slice"""
    head, _, tail = name.removesuffix(".slice").rpartition("-pod")
    uid = tail.replace("_", "-")
    if head and is_uid(uid):
        for word, qos in _QOS.items():
            stem = f"kubepods-{word}" if word else "kubepods"
            if head == stem or head.endswith(f"-{stem}"):
                return uid, qos
        return None
    _, found, uid = name.removesuffix(".slice").rpartition("libpod_pod_")
    return (uid, None) if found and hex64(uid) else None


def _is_podman_pod(names: list[str], index: int) -> bool:
    """cgroupfs driver: libpod_parent/<id>, an id that is no container's."""
    name, above = names[index], names[index - 1]
    if name.startswith("libpod_pod_"):
        return bool(hex64(name.removeprefix("libpod_pod_")))
    if above == CUT and index == 1:
        below = names[index + 1] if index + 1 < len(names) else ""
        return bool(hex64(name)) and below.startswith("libpod-") and not below.endswith(".scope")
    return above == "libpod_parent" and bool(hex64(name))


def _unit(names: list[str], *, whole: bool) -> str | None:
    """Return the systemd unit; a slice only if the path ends with it.

    The outermost one, or the outermost of a user's own manager: what a service makes below its
    own cgroup may have any name. None of a cut path: what is missing may be a container, and the
    unit one inside it.
    """
    if names[0]:
        return None
    unit = None
    for index, name in enumerate(names[1:], 1):
        # user@1000.service/init.scope: the manager's own corner of its service
        if name.endswith(_UNITS) and (name != "init.scope" or index == 1):
            unit = name
            if index != _MANAGER_AT or not name.startswith("user@"):
                break
    if unit:
        return unit
    if whole and names[-1].endswith((".slice", ".scope")) and len(names) > 1:
        return names[-1]
    return None
