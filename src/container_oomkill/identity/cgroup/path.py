# SPDX-License-Identifier: Apache-2.0
"""Takes a cgroup path, gives the runtime, the container's id, the pod's uid and its QoS class.

Pure text work on one table, `patterns.PATTERNS`: a row per way a runtime names one's cgroup.
What no row describes stays unknown; a process of no container is its systemd unit's.

Whoever may create cgroups chooses their names: a user below the own service manager, a service
with `Delegate=`. So a row counts only in its place (`place.Place`): systemd makes a scope in slices
alone, LXC starts at the root, and below a unit there are only the runtimes whose unit it is. Below
a user's manager no row names a container of the system's.

Containers nest: kind's nodes, Docker in Docker, systemd inside a container. The innermost one
is the container whose memory it was. Whoever may create cgroups inside a container chooses
their names, though, so an inner id is a claim: `CgroupIdentity.outer_container_id` is the
outermost container, the only one whose name nothing inside a container can have made up.

A path that was too long has "…" for the names that are missing. At its start (incident.py) those at
the root are: a row that needs one of them does not apply. Further on, what stands below it proves
nothing, as an outer container may be among what is missing: only what is above it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from .patterns import PATTERNS, CgroupPattern
from .place import UNITS, Place, users_area
from .readers import hex64, is_uid
from .systemd import unit_name

CUT = "…"
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
    namespace: str | None = None  # Incus' and LXD's project
    service: str | None = None  # what it is counted as: its own name lives for minutes


@lru_cache(maxsize=512)
def parse(path: str) -> CgroupIdentity:
    """Return whose cgroup ``path`` is; never raises. A container's path comes again and again."""
    names, cut = _names(path)
    containers: list[tuple[int, CgroupPattern, str, str | None]] = []
    pods: list[tuple[int, int, str, str | None]] = []  # where it was read, and where it is
    place = Place(names)
    for index in range(1, len(names)):
        place.go_on(index)
        if not names[index]:
            continue
        if read := _pod(names, index, place):
            pods.append((index, index, *read))
        elif match := _container(names, index, place):
            containers.append((index, *match))
            # the slice is in the name where a runtime was told the wrong driver
            if ":" in names[index] and (read := _pod_slice(names[index].split(":")[0])):
                pods.append((index, 0, *read))
            place.enter(index)
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
        unit = _unit(names, whole=not cut)
        return CgroupIdentity(
            runtime="systemd" if unit else None,
            pod_uid=pod_uid,
            qos=qos,
            pod_cgroup=pod_cgroup,
            unit=unit,
            name=unit_name(unit) if unit else None,
        )
    at, form, container_id, name = containers[-1]
    namespace, service = None, form.service
    if form.runtime == "slurm":
        container_id = name = "/".join((container_id, *_step(names[at + 1 :])))
        service = names[at - 1] if names[at - 1].startswith("uid_") else None
    elif form.runtime == "lxc":
        namespace, name = _project(name)
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
        namespace=namespace,
        service=service,
    )


def own_cgroup(path: str) -> str | None:
    """Return the cgroup of the container, else of the unit, that ``path`` is in."""
    if (container := parse(path).container_cgroup) is not None:
        return container
    names, _ = _names(path)
    at = _unit_at(names)
    return "/".join(names[: at + 1]) if at else None


def below_own(path: str) -> str:
    """Return what of a path is below its unit's cgroup, or all of it where it has no unit.

    "" for a unit itself, and for what systemd makes below one: a manager's own corner, and that of
    the commands it runs for a unit.
    """
    names, _ = _names(path)
    below = names[_unit_at(names) + 1 :]
    return "" if below in (["init.scope"], [".control"]) else "/".join(below)


def is_cut(path: str) -> bool:
    """Tell whether names are missing in a path."""
    return CUT in path.split("/")


def _names(path: str) -> tuple[list[str], bool]:
    """Return the names of a path down to where some are missing, and whether any are.

    The first is "" for the root, or CUT.
    """
    names = path.split("/")
    if CUT in names[1:]:
        return names[: names.index(CUT, 1)], True
    return names, names[0] == CUT


def _container(
    names: list[str], index: int, place: Place
) -> tuple[CgroupPattern, str, str | None] | None:
    """Match one name."""
    name = names[index]
    if name.count(":") == 2 and (match := _misdriven(name)):
        form = match[0]
        if form.users if place.users else place.below_engine(index):
            return match
    if _is_podman_pod(names, index):
        return None
    for form in PATTERNS:
        if not (name.startswith(form.prefix) and name.endswith(form.suffix)):
            continue
        if not place.fits(form, index):
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


def _step(below: list[str]) -> list[str]:
    """Return a Slurm job's step and task, of the names below the job's cgroup."""
    step = [name for name in below[:1] if name.startswith("step_")]
    return step + [name for name in below[1:3] if name.startswith("task_")][:1]


def _project(name: str | None) -> tuple[str | None, str | None]:
    """Return the project and name of Incus' and LXD's ``prod_web``.

    Neither lets an instance have a ``_`` in its name, and the project "default" is left out. LXC's
    own containers may have one: both parts are shown, so that it is lost for neither.
    """
    project, mark, rest = (name or "").rpartition("_")
    if mark and project and rest and project != "default":
        return project, rest
    return None, name


def _pod(names: list[str], index: int, place: Place) -> tuple[str, str | None] | None:
    """Return a pod's uid and QoS class, if this name is a pod's cgroup."""
    name = names[index]
    if _is_podman_pod(names, index):
        return name.removeprefix("libpod_pod_"), None
    if name.endswith(".slice"):
        read = _pod_slice(name)
        podmans = read is not None and bool(hex64(read[0]))
        return read if podmans or (not place.users and place.below_slices(index)) else None
    uid = name[3:]
    if (
        place.users
        or not place.below_engine(index)
        or not name.startswith("pod")
        or not is_uid(uid)
    ):
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
    """Return the systemd unit; a slice only if the path ends with it."""
    if at := _unit_at(names):
        return names[at]
    if whole and not names[0] and names[-1].endswith((".slice", ".scope")) and len(names) > 1:
        return names[-1]
    return None


def _unit_at(names: list[str]) -> int:
    """Return where the systemd unit is, 0 for nowhere.

    The outermost one, or the outermost of a user's own manager: what a service makes below its
    own cgroup may have any name. None of a path without its root: what is missing may be a
    container, and the unit one inside it.
    """
    if names[0]:
        return 0
    found, (_, manager) = 0, users_area(names)
    for index, name in enumerate(names[1:], 1):
        # user@1000.service/init.scope: the manager's own corner of its service
        if name.endswith(UNITS) and (name != "init.scope" or index == 1):
            found = index
            if index != manager:
                break
    return found
