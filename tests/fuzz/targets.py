# SPDX-License-Identifier: Apache-2.0
"""What takes input that others made: each takes bytes, and fails where we promise that it cannot.

Refusing is no fault where it is promised: the exceptions of each are caught here, no others.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from container_oomkill.errors import RecordError, UsageError
from container_oomkill.exporter.exporter import Exporter
from container_oomkill.history.file import HistoryFile
from container_oomkill.identity.cgroup import path as cgroup_path
from container_oomkill.identity.metadata import ContainerMetadata
from container_oomkill.identity.runtimes import docker, engine_socket, oci, podman
from container_oomkill.identity.runtimes.excerpt import TooBigError, excerpt
from container_oomkill.identity.runtimes.state import StateError
from container_oomkill.incident import wire
from container_oomkill.incident.model import Incident
from container_oomkill.incident.wire import lib
from container_oomkill.kubernetes.errors import ApiError
from container_oomkill.kubernetes.objects import Change, Pod, PodList, Status, decode
from container_oomkill.kubernetes.pods import Pods, cgroup_uid
from container_oomkill.sinks.formats import open_sink
from container_oomkill.sinks.json_lines import render
from container_oomkill.sinks.record import from_object
from container_oomkill.web.http.request import HttpError, Request, head_end, parse
from container_oomkill.web.http.response import Response, Shared
from container_oomkill.web.routes import Routes

from ..support.http_client import make_exporter
from ..support.http_judge import answered, judged, named, outcome, the_same
from ..support.incidents import incident as made_by_hand
from ..support.wire_flow import flow, harmless, shown_harmlessly

ID = "ab" * 32
HEAD = wire.HEADER.offsets


def ring(data: bytes) -> None:
    """A record of the ring: shown, or lost with a reason; the one behind it is shown."""
    record = bytearray(data.ljust(wire.VICTIM.size, b"\0"))
    for name, width, value in (
        ("layout", 4, lib.OOMKILL_LAYOUT),
        ("size", 4, len(record)),
        ("sequence", 8, 1),
        ("kind", 1, lib.OOMKILL_VICTIM),
    ):
        record[HEAD[name] : HEAD[name] + width] = value.to_bytes(width, sys.byteorder)
    with _quiet():
        shown, lost = flow(bytes(record))
    assert len(shown) + len(lost) == 1
    for incident in shown:
        _shown_everywhere(incident)


def record(data: bytes) -> None:
    """A line for `replay` and `show --from`."""
    try:
        incident = from_object(json.loads(data))
    except (ValueError, RecursionError, RecordError):
        return
    _shown_everywhere(incident)


def _shown_everywhere(incident: Incident) -> None:
    shown_harmlessly(incident)
    stream = io.StringIO()
    open_sink("json", stream)(incident)
    harmless(stream.getvalue(), None)
    _site()[0].sink(incident)
    for path in ("/", f"/incidents/{incident.id}", "/metrics", "/api/v1/incidents"):
        assert _answer(Request("GET", path)).status == 200


def history(data: bytes) -> None:
    """A history file: what can be read is kept, and the next incident goes behind it."""
    with _folder() as folder, _quiet():
        path = folder / "history"
        path.write_bytes(data)
        try:
            kept = _reopened(path, made_by_hand(7777))
        except UsageError as error:
            if "not a history" not in str(error):
                raise
            return
        again = _reopened(path, None)
        assert [each.id for each in again[: len(kept)]] == [each.id for each in kept]
        assert again[-1].id == made_by_hand(7777).id
        left = sorted(each.name for each in folder.iterdir())
        assert all(name == "history" or ".broken-" in name for name in left), left


def _reopened(path: Path, added: Incident | None) -> list[Incident]:
    with closing(HistoryFile(str(path), max_incidents=256, max_bytes=1 << 20)) as file:
        loaded = file.load()
        if added is not None:
            file(added)
        return loaded


def state(data: bytes) -> None:
    """A state file of each runtime, as it lies on the disk: names, or a `StateError`."""
    with _folder() as folder:
        for name, source in _sources(str(folder)).items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            for key in ((0, ID), (1000, ID)):
                try:
                    _is_named(source.find(key))
                except StateError as error:
                    if not re.fullmatch("[a-z_]+", error.reason):
                        raise
            with contextlib.suppress(StateError):
                source.keys()
            file.unlink()


def _sources(folder: str) -> dict[str, Any]:
    return {
        f"docker/{ID}/config.v2.json": docker.docker(f"{folder}/docker"),
        f"containerd/k8s.io/{ID}/config.json": oci.Containerd(f"{folder}/containerd"),
        f"crio/{ID}/userdata/config.json": oci.crio(f"{folder}/crio"),
        "podman/containers.json": podman.Podman(f"{folder}/podman"),
        "home/overlay-containers/containers.json": podman.Podman(
            f"{folder}/home", ("overlay-containers",), 1000
        ),
    }


def large_state(data: bytes) -> None:
    """A state file that is too large to decode whole: what is taken of it is what JSON says."""
    try:
        taken = excerpt(data, docker.KEEP)
    except (ValueError, RecursionError, TooBigError):
        return
    _is_named(docker.read((0, ID), taken))
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        raise AssertionError("an excerpt of what is no object")
    config = document.get("Config")
    wanted = {key: document[key] for key in docker.KEEP if key in document}
    if isinstance(config, dict):
        wanted["Config"] = {key: config[key] for key in ("Image", "Labels") if key in config}
    assert json.dumps(taken, sort_keys=True) == json.dumps(wanted, sort_keys=True)  # NaN as well


def engine(data: bytes) -> None:
    """An answer of Docker's API, and a line of its events."""
    try:
        answer = engine_socket._decode(data)
    except engine_socket.RefusedError:
        return
    for entry in answer if isinstance(answer, list) else [answer]:
        _is_named(engine_socket.read(entry))


def _is_named(found: ContainerMetadata | None) -> None:
    """What anybody may have written is short and prints."""
    for name in ("name", "image", "pod", "namespace", "pod_uid", "service"):
        text = getattr(found, name, None)
        assert text is None or (isinstance(text, str) and text.isprintable())
        assert text is None or 0 < len(text) <= 2 * 4096


def kubernetes(data: bytes) -> None:
    """An answer of the cluster's API: a list of pods, a line of a watch, a refusal."""
    pods = Pods()
    for take in (_take_list, _take_change, _take_refusal):
        with contextlib.suppress(ApiError):
            take(data, pods)
    for known in pods.containers.live():
        _is_named(known)


def _take_list(data: bytes, pods: Pods) -> None:
    for pod in decode(data, PodList).items or ():
        pods.put(pod, "")
        pods.gone(cgroup_uid(pod))
        pods.put(pod, "")


def _take_change(data: bytes, pods: Pods) -> None:
    pods.put(decode(decode(data, Change).object, Pod), "")


def _take_refusal(data: bytes, _: Pods) -> None:
    assert all(isinstance(cause, str) for cause in decode(data, Status).causes())


def cgroup(data: bytes) -> None:
    """A cgroup's path: whoever may make cgroups names them."""
    path = data.decode("utf-8", "surrogateescape")
    found = cgroup_path.parse(path)
    assert found == cgroup_path.parse(path)
    cgroup_path.own_cgroup(path)
    cgroup_path.below_own(path)


def http(data: bytes) -> None:
    """A request: taken or refused as h11 does, but for the differences that have a reason."""
    for head in (data, data + b"\r\n\r\n"):
        ours, theirs = answered(head), judged(head)
        if outcome(ours) != outcome(theirs):
            assert named(head), f"we: {ours}, h11: {theirs}"
        if isinstance(ours, Request) and not isinstance(theirs, int) and theirs is not None:
            the_same(ours, theirs)


def site(data: bytes) -> None:
    """A request that is one, of anything: a clean answer."""
    received = bytearray(b"GET /" + data + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    try:
        end = head_end(received)
        request = parse(bytes(received[:end]))
    except HttpError as error:
        if error.status not in (400, 414, 431):
            raise
        return
    if request.path == "/events":
        return  # a stream without end
    assert _answer(request).status in (200, 304, 400, 404, 503)


def _answer(request: Request) -> Response:
    answer = _site()[1](request)
    if isinstance(answer, Shared):  # of many clients: made here as the server makes it
        answer = answer.response(answer.make())
    assert isinstance(answer, Response)
    body = answer.body
    for piece in (body,) if isinstance(body, bytes) else body:
        assert isinstance(piece, bytes)
    return answer


@cache
def _site() -> tuple[Exporter, Routes]:
    exporter = make_exporter(max_incidents=8)
    exporter.sink(made_by_hand())
    routes = Routes(
        metrics=exporter.metrics,
        history=exporter.history,
        kills=exporter.kills,
        stuck=exporter.stuck,
        render=render,
        not_ready=lambda: None,
        node="node-1",
        watched_since=0.0,
        wall=time.time,
    )
    return exporter, routes


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    memory = "/dev/shm"
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stderr(io.StringIO()):
        yield


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        *(ring, record, history, state, large_state, engine, kubernetes, cgroup, http, site),
    )
}
