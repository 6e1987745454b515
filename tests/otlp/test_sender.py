# SPDX-License-Identifier: Apache-2.0
"""What becomes of incidents when the receiver fails, in every way it can."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.otlp.sender import OtlpSender
from container_oomkill.sending.counts import Counts
from container_oomkill.sending.waiting import MemoryQueue

from ..support.incidents import container, incident
from ..support.otlp import sender
from ..support.receiver import (
    NO_OTLP,
    RETRIED,
    Answer,
    Got,
    Handler,
    Receiver,
    attributes,
    drip,
    never,
    partial,
    status,
)
from ..support.waiting import eventually


def reached(sending: OtlpSender, name: str, least: int) -> Callable[[], bool]:
    return lambda: getattr(sending.counts.now(), name) >= least


def ids(receiver: Receiver) -> list[str]:
    return [attributes(each)["container_oomkill.incident"] for each in receiver.records()]


@pytest.mark.parametrize("failure", [*RETRIED.values(), NO_OTLP], ids=[*RETRIED, "no receiver"])
def test_what_may_be_over_soon_is_retried(failure: Answer) -> None:
    with Receiver(failure, failure) as receiver, sender(receiver.url) as sending:
        sending(incident(1))
        sent = eventually(lambda: sending.counts.now().sent)
        assert sent == 1
        assert ids(receiver)[-1] == incident(1).id
        assert sending.counts.now().retries == 2
        assert sum(sending.counts.now().dropped.values()) == 0
        eventually(lambda: sending.queue.depth() == 0)


@pytest.mark.parametrize("failure", [never, drip], ids=["says nothing", "drips"])
def test_a_request_has_its_time(failure: Answer) -> None:
    with Receiver(failure) as receiver, sender(receiver.url, seconds=0.5) as sending:
        sending(incident(1))
        eventually(lambda: sending.counts.now().sent == 1)
        assert sending.counts.now().retries >= 1


def test_nobody_there_then_somebody(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with sender(f"http://127.0.0.1:{port}") as sending:
        for number in range(30):
            sending(incident(number))
        eventually(lambda: sending.counts.now().retries > 3)
        assert sending.queue.depth() == 30
        with Receiver(port=port) as receiver:
            eventually(lambda: sending.counts.now().sent == 30)
            assert ids(receiver) == [incident(number).id for number in range(30)]
    said = capfd.readouterr().err.splitlines()
    assert said == [
        "container-oomkill: send to --otlp.endpoint: connection refused",
        "container-oomkill: send to --otlp.endpoint: works again",
    ]


def test_retry_after_is_obeyed() -> None:
    """A number or a date; without it the tries would come within 0.1 s."""
    for form in ("2", "%a, %d %b %Y %H:%M:%S GMT"):
        asked = time.strftime(form, time.gmtime(time.time() + 3))
        times: list[float] = []
        first = status(429, Retry_After=asked)

        def noting(answer: Answer, times: list[float] = times) -> Answer:
            def noted(handler: Handler) -> int:
                times.append(time.monotonic())
                return answer(handler)

            return noted

        answers = noting(first), noting(status(200, b"{}"))
        with Receiver(*answers) as receiver, sender(receiver.url) as sending:
            sending(incident(1))
            eventually(reached(sending, "sent", 1))
        assert times[1] - times[0] >= 1.0


def too_many(most: int, code: int) -> Answer:
    """Take no more records at once than that."""

    def answer(handler: Handler) -> int:
        many = len(Got("", {}, handler.body, 0).records())
        return handler.give(code) if many > most else handler.give(200, b"{}")

    return answer


def test_413_is_split_until_it_fits() -> None:
    with Receiver() as receiver:
        receiver.otherwise = too_many(3, 413)
        sending = sender(receiver.url)
        for number in range(20):
            sending.queue.add(incident(number))
        with sending:
            eventually(lambda: sending.counts.now().sent == 20)
        assert ids(receiver) == [incident(number).id for number in range(20)]
        assert sending.counts.now().retries == 0


def test_one_that_is_too_large_goes_without_its_record() -> None:
    def answer(handler: Handler) -> int:
        return handler.give(413 if b"container_oomkill.record" in handler.body else 200, b"{}")

    with Receiver() as receiver, sender(receiver.url) as sending:
        receiver.otherwise = answer
        sending(incident(1))
        eventually(lambda: sending.counts.now().sent == 1)
        (record,) = receiver.records()
        assert "container_oomkill.record" not in attributes(record)
        receiver.otherwise = status(413)
        sending(incident(2))
        eventually(lambda: sending.counts.now().dropped["too_large"] == 1)
        eventually(lambda: sending.queue.depth() == 0)


def test_the_one_that_is_refused_is_found() -> None:
    def answer(handler: Handler) -> int:
        return handler.give(400 if b'"poison"' in handler.body else 200, b"{}")

    lost: list[int] = []
    counts = Counts(lost.append)
    with Receiver() as receiver:
        receiver.otherwise = answer
        sending = sender(receiver.url, counts=counts)
        for number in range(16):
            name = "poison" if number == 5 else "app"
            sending.queue.add(incident(number, container=container(name)))
        with sending:
            eventually(lambda: sending.counts.now().sent == 15)
            eventually(lambda: sending.queue.depth() == 0)
        assert sending.counts.now().dropped["refused"] == 1
        assert lost == [1]
        assert ids(receiver) == [incident(number).id for number in range(16) if number != 5]


@pytest.mark.parametrize(("rejected", "counted"), [("2", 2), (3, 3), (0, 0), (None, 0), (99, 5)])
def test_partial_success_is_counted(rejected: object, counted: int) -> None:
    with Receiver(partial(rejected)) as receiver:
        sending = sender(receiver.url)
        for number in range(5):
            sending.queue.add(incident(number))
        with sending:
            eventually(lambda: sending.queue.depth() == 0)
        now = sending.counts.now()
        assert (now.sent, now.dropped["partial_success"], now.retries) == (
            5 - counted,
            counted,
            0,
        )


def test_a_server_that_fails_on_one_for_ever_does_not_keep_the_others() -> None:
    def answer(handler: Handler) -> int:
        return handler.give(500 if b'"poison"' in handler.body else 200, b"{}")

    with Receiver() as receiver, sender(receiver.url) as sending:
        receiver.otherwise = answer
        sending(incident(1, container=container("poison")))
        sending(incident(2))
        eventually(lambda: sending.counts.now().sent == 1)
        assert sending.counts.now().dropped["refused"] == 1


def test_the_queue_is_bounded_and_fair() -> None:
    """A container in a loop pushes out its own; nothing that is being sent."""
    dropped: list[int] = []
    queue = MemoryQueue(20, dropped.append)
    queue.add(incident(0, container=container("quiet")))
    for number in range(1, 1000):
        queue.add(incident(number, container=container("loop")))
    assert queue.depth() <= 20
    names = [item.incident.container.name for item in queue.take(100)]
    assert "quiet" in names
    assert len(names) + sum(dropped) == 1000
    assert queue.depth() == len(names)


def test_the_records_path_waits_for_nothing() -> None:
    """The thread hangs in a request; thousands of incidents come meanwhile."""
    began = threading.Event()

    def hangs(handler: Handler) -> int:
        began.set()
        return never(handler)

    with Receiver(hangs) as receiver:
        sending = sender(receiver.url, seconds=60.0)
        with sending:
            sending(incident(0))
            assert began.wait(60)
            for number in range(2000):
                sending(incident(number))
            assert sending.counts.now().sent == 0
            assert sending.queue.depth() <= 257
        assert sending.counts.now().dropped["closed"] > 0


def test_tls_with_a_client_certificate(authority: Path) -> None:
    server, ca = authority / "server.pem", authority / "ca.pem"
    files: dict[str, Any] = {
        "cert_file": str(authority / "client.pem"),
        "key_file": str(authority / "client.key"),
    }
    with Receiver(certificate=server, client_ca=ca) as receiver:
        with sender(receiver.url, ca_file=str(ca), **files) as sending:
            sending(incident(1))
            eventually(lambda: sending.counts.now().sent == 1)
        with sender(receiver.url, ca_file=str(ca)) as sending:
            sending(incident(2))
            eventually(lambda: sending.counts.now().retries > 2)
            assert sending.counts.now().sent == 0


def test_certificates_that_are_not_right(
    authority: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ca = str(authority / "ca.pem")
    for name, words in (
        ("expired", "certificate has expired"),
        ("stranger", "self-signed certificate"),
        ("elsewhere", "IP address mismatch"),
    ):
        server = Receiver(certificate=authority / f"{name}.pem")
        with server as receiver, sender(receiver.url, ca_file=ca) as sending:
            sending(incident(1))
            eventually(reached(sending, "retries", 2))
            assert sending.counts.now().sent == 0
        said = capfd.readouterr().err
        assert "send to --otlp.endpoint: certificate not trusted: " in said
        assert words in said


def test_a_certificate_that_is_renewed_is_read_again(authority: Path) -> None:
    """The CA's file is replaced while it runs: no restart."""
    trusted = authority / "trusted.pem"
    trusted.write_bytes((authority / "stranger.pem").read_bytes())
    server = Receiver(certificate=authority / "server.pem")
    with server as receiver, sender(receiver.url, ca_file=str(trusted)) as sending:
        sending(incident(1))
        eventually(lambda: sending.counts.now().retries > 1)
        trusted.write_bytes((authority / "ca.pem").read_bytes())
        eventually(lambda: sending.counts.now().sent == 1)


def test_a_token_is_read_anew_for_each_request(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("# of the collector\nAuthorization: Bearer one\nX-Scope-OrgID: ops\n")
    settings: dict[str, Any] = {"headers_file": str(file), "headers": "api-key=a%20b"}

    def answer(handler: Handler) -> int:
        renewed = handler.headers["Authorization"] == "Bearer two"
        return handler.give(200 if renewed else 401, b"{}")

    with Receiver() as receiver, sender(receiver.url, **settings) as sending:
        receiver.otherwise = answer
        sending(incident(1))
        eventually(lambda: sending.counts.now().retries >= 1)
        file.write_text("Authorization: Bearer two\n")
        eventually(lambda: sending.counts.now().sent == 1)
    first, *_, last = receiver.got
    assert first.headers["authorization"] == "Bearer one"
    assert first.headers["x-scope-orgid"] == "ops"
    assert last.headers["authorization"] == "Bearer two"
    assert last.headers["api-key"] == "a b"
    assert last.headers["user-agent"] == "container-oomkill/1.2.3"
    assert last.headers["content-encoding"] == "gzip"
    assert last.path == "/v1/logs"


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    for text, words in (
        ("no colon\n", "line 1: expected NAME: VALUE in printable ASCII"),
        ("A: 1\nB: \x01secret\n", "line 2: expected NAME: VALUE in printable ASCII"),
        ("Content-Type: text/plain\n", "line 1: Content-Type is not for this file to set"),
    ):
        file = tmp_path / "headers"
        file.write_text(text)
        with pytest.raises(UsageError) as error:
            sender("http://127.0.0.1:9", headers_file=str(file))
        assert str(error.value) == f"{file}: {words}"
    for url in ("http://", "http://user:secret@host", "http://host:99999", "http://a b/"):
        with pytest.raises(UsageError, match=r"^--otlp\.endpoint: ") as error:
            sender(url)
        assert "secret" not in str(error.value)
    with pytest.raises(UsageError, match=r"none\.pem: no such file or directory"):
        sender("https://host", ca_file=str(tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("nonsense")
    with pytest.raises(UsageError, match=r"bad\.pem: OpenSSL rejects it: "):
        sender("https://host", ca_file=str(tmp_path / "bad.pem"))


def test_without_compression() -> None:
    with Receiver() as receiver, sender(receiver.url, gzip=False) as sending:
        sending(incident(1))
        eventually(lambda: sending.counts.now().sent == 1)
    assert "content-encoding" not in receiver.got[0].headers
