# SPDX-License-Identifier: Apache-2.0
"""What a webhook's receiver gets: bodies, headers, one message for a loop, and after failures."""

from __future__ import annotations

import base64
import hmac
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.otlp.log_record import uid
from container_oomkill.sending.backlog import Backlog
from container_oomkill.sinks.record import from_object, to_object
from container_oomkill.webhook.config import Webhook
from container_oomkill.webhook.fields import FIELDS, Message, values
from container_oomkill.webhook.template import SHIPPED, Template

from ..support.history import opened
from ..support.incidents import HOSTILE, container, incident
from ..support.receiver import RETRIED, Answer, Receiver, hang_up, never, status
from ..support.waiting import eventually
from ..support.webhooks import configured, sender

DOCUMENT = Path(__file__).parents[2] / "docs" / "webhook.md"


def named(number: int, name: str = "app", **changes: Any) -> Any:
    return explain(incident(number, container=container(name), **changes))


def shown(template: str, tmp_path: Path, **message: Any) -> Any:
    (tmp_path / "key").write_text("R0UTING\n")
    webhook = configured(tmp_path, template=template, secret_files={"routing_key": "key"})
    one = Message(**({"incident": named(1), "count": 1, "first": named(1).time} | message))
    url = "https://oom.example"
    return json.loads(webhook.template.body(values(one, external_url=url, secrets=webhook.secrets)))


def test_generic_has_the_whole_record(tmp_path: Path) -> None:
    body = shown("generic", tmp_path, count=3)
    assert body["title"] == "shop/cart-7d9f4/app was OOM-killed 3 times"
    assert body["count"] == 3
    assert body["url"] == f"https://oom.example/incidents/{named(1).id}"
    assert from_object(body["record"]) == named(1)


def test_pagerduty(tmp_path: Path) -> None:
    body = shown("pagerduty", tmp_path)
    assert body["routing_key"] == "R0UTING"
    assert body["event_action"] == "trigger"
    assert body["dedup_key"] == "container-oomkill/node-1/shop/cart-7d9f4/app"
    payload = body["payload"]
    assert payload["severity"] in ("critical", "error", "warning", "info")
    assert payload["summary"] == "shop/cart-7d9f4/app was OOM-killed"
    assert {"summary", "source", "severity"} <= payload.keys()
    assert payload["custom_details"]["count"] == 1


def test_slack_escapes_what_slack_reads(tmp_path: Path) -> None:
    body = shown("slack", tmp_path, incident=named(1, "<!channel> & <http://evil|x>"))
    text = body["blocks"][0]["text"]["text"]
    assert "&lt;!channel&gt; &amp; &lt;http://evil|x&gt;" in text
    assert "<" not in text
    assert "<" not in body["text"]


def test_alertmanager_has_texts_alone(tmp_path: Path) -> None:
    outside = explain(incident(1, container=container("web", namespace=None, pod=None)))
    (alert,) = shown("alertmanager", tmp_path, incident=outside)
    assert alert["labels"]["container"] == "web"
    assert "pod" not in alert["labels"]  # unknown: left out, not the word
    for part in (alert["labels"], alert["annotations"]):
        assert all(isinstance(value, str) for value in part.values())


@pytest.mark.parametrize("template", SHIPPED)
def test_no_name_changes_what_a_body_is(template: str, tmp_path: Path) -> None:
    """A hostile one gives the same document as a harmless one, but for its texts."""

    def form(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: form(value) for key, value in part.items() if key != "record"}
        return [form(each) for each in part] if isinstance(part, list) else type(part)

    hostile = HOSTILE + '", "routing_key": "x", ${secret.routing_key} ${title}'
    evil = shown(template, tmp_path, incident=named(1, hostile))
    assert form(evil) == form(shown(template, tmp_path))
    text = json.dumps(evil, ensure_ascii=False)
    assert text.count("R0UTING") == (template == "pagerduty")


def test_a_template_is_no_program() -> None:
    fields = {"a", "b"}
    one = Template(b'{"x": "${a} and ${b}", "y": ["${json:a}", "${json:b}"], "z": 1}', fields)
    assert json.loads(one.body({"a": "${b}", "b": None})) == {
        "x": "${b} and unknown",
        "y": ["${b}"],
        "z": 1,
    }


def test_the_headers(tmp_path: Path) -> None:
    key = b"\x00\x01 a key \xff" * 3
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(key).decode())
    (tmp_path / "headers").write_text("Authorization: Bearer t\n")
    one = named(1, "漢 x")
    with Receiver() as receiver:
        webhook = configured(
            tmp_path,
            url=f"{receiver.url}/a/b?c=d",
            signature={"secret_file": "secret"},
            headers_file="headers",
        )
        with sender(webhook) as sending:
            sending(one)
            eventually(lambda: sending.counts.now().sent == 1)
    (got,) = receiver.got
    headers = got.headers
    assert got.path == "/a/b?c=d"
    assert headers["authorization"] == "Bearer t"
    assert headers["content-type"] == "application/json"
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-id"] == headers["webhook-id"] == uid(one)
    assert headers["ce-type"] == "container-oomkill.oom"
    assert headers["ce-source"] == "/container-oomkill/nodes/node-1"
    assert headers["ce-subject"] == "shop/cart-7d9f4/%E6%BC%A2%20x"
    signed = f"{uid(one)}.{headers['webhook-timestamp']}.".encode() + got.body
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert base64.b64decode(signature) == hmac.digest(key, signed, "sha256")


def webhook_of(folder: Path, receiver: Receiver, **entry: Any) -> Webhook:
    return configured(folder, url=receiver.url, **entry)


def test_a_loop_is_one_message_at_once_and_one_with_counts(tmp_path: Path) -> None:
    with Receiver() as receiver:
        webhook = webhook_of(tmp_path, receiver, group_interval="1s")
        with sender(webhook) as sending:
            sending(named(0))
            eventually(lambda: receiver.got)
            for number in range(1, 40):
                sending(named(number))
            sending(named(100, "other"))
            eventually(lambda: sending.counts.now().sent == 41)
            eventually(lambda: sending.queue.depth() == 0)
    bodies = [got.json() for got in receiver.got]
    ours = [each for each in bodies if each["record"]["container"]["name"] == "app"]
    assert sum(each["count"] for each in ours) == 40
    assert ours[0]["count"] == 1
    assert len(ours) <= 4  # on a slow machine the interval may be over among them
    assert ours[-1]["record"] == to_object(named(39))
    assert [each["count"] for each in bodies if each not in ours] == [1]


def test_without_grouping_each_kill_is_a_message(tmp_path: Path) -> None:
    with Receiver() as receiver:
        webhook = webhook_of(tmp_path, receiver, group_interval="0", rate_limit={"burst": "100"})
        with sender(webhook) as sending:
            for number in range(20):
                sending(named(number))
            eventually(lambda: sending.counts.now().sent == 20)
    assert [got.json()["count"] for got in receiver.got] == [1] * 20


def test_an_outage_is_one_message_for_each_container(tmp_path: Path) -> None:
    with Receiver(*[status(503)] * 3, hang_up, status(429, Retry_After="0")) as receiver:
        with sender(webhook_of(tmp_path, receiver)) as sending:
            for number in range(30):
                sending(named(number, f"app-{number % 3}"))
            eventually(lambda: sending.counts.now().sent == 30)
        told = [got.json()["count"] for got in receiver.got if got.answered == 200]
        assert sum(told) == 30
        assert sending.counts.now().retries == 5
        assert sum(sending.counts.now().dropped.values()) == 0


# Of an answer that is cut short within its body, a webhook has all it asks for: the status.
FAILURES = {name: failure for name, failure in RETRIED.items() if name != "cut short"}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=list(FAILURES))
def test_what_may_be_over_soon_is_retried(tmp_path: Path, failure: Answer) -> None:
    with Receiver(failure, failure) as receiver:
        with sender(webhook_of(tmp_path, receiver)) as sending:
            sending(named(1))
            eventually(lambda: sending.counts.now().sent == 1)
            assert sending.counts.now().retries == 2
            eventually(lambda: sending.queue.depth() == 0)
        assert [got.json()["count"] for got in receiver.got if got.answered == 200] == [1]
    assert sum(sending.counts.now().dropped.values()) == 0


@pytest.mark.parametrize("name", ["expired", "stranger", "elsewhere"])
def test_certificates_that_are_not_right(
    authority: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The kill waits, and is told once the certificate is right."""
    tls = {"ca_file": "ca.pem"}
    with Receiver(certificate=authority / f"{name}.pem") as receiver:
        port = receiver.port
        webhook = webhook_of(authority, receiver, tls=tls)
        sending = sender(webhook)
        with sending:
            sending(named(1))
            eventually(lambda: sending.counts.now().retries >= 2)
            assert sending.counts.now().sent == 0
            receiver.close()
            with Receiver(certificate=authority / "server.pem", port=port):
                eventually(lambda: sending.counts.now().sent == 1)
    said = capfd.readouterr().err.splitlines()
    assert said[0].startswith("container-oomkill: --webhook.config: chat: certificate not trusted")
    assert said[-1].endswith("works again")


@pytest.mark.parametrize(
    ("code", "reason"), [(400, "refused"), (422, "refused"), (413, "too_large")]
)
def test_what_is_refused_is_dropped_and_counted(tmp_path: Path, code: int, reason: str) -> None:
    server = Receiver(status(code, b"invalid_payload"))
    with server as receiver, sender(webhook_of(tmp_path, receiver)) as sending:
        sending(named(1, "one"))
        eventually(lambda: sending.counts.now().dropped[reason] == 1)
        sending(named(2, "two"))
        eventually(lambda: sending.counts.now().sent == 1)
        eventually(lambda: sending.queue.depth() == 0)


def test_the_rate_is_limited(tmp_path: Path) -> None:
    """A hundred containers: as many messages as may be at once, the rest waits."""
    with Receiver() as receiver:
        webhook = webhook_of(tmp_path, receiver, rate_limit={"burst": "5", "per_minute": "1"})
        with sender(webhook) as sending:
            for number in range(100):
                sending(named(number, f"app-{number}"))
            eventually(lambda: sending.counts.now().sent == 5)
            eventually(lambda: sending.queue.depth() == 95)
    assert len(receiver.got) == 5
    assert sending.counts.now().dropped["closed"] == 95


def test_a_thousand_containers_have_no_more_than_their_place(tmp_path: Path) -> None:
    with Receiver(never) as receiver:
        webhook = webhook_of(tmp_path, receiver, timeout="2s", rate_limit={"burst": "10000"})
        with sender(webhook) as sending:
            for number in range(2000):
                sending(named(number, f"app-{number}"))
            eventually(lambda: sending.queue.depth() == 0)
            now = sending.counts.now()
            assert now.sent + now.dropped["queue_full"] == 2000


def test_what_waits_outlives_the_process(tmp_path: Path) -> None:
    """In the history, as for OTLP; what was told is not told again."""
    path = tmp_path / "history"
    with Receiver() as receiver:
        webhook = webhook_of(tmp_path, receiver, rate_limit={"burst": "2", "per_minute": "1"})
        with closing(opened(path)) as file:
            queue = Backlog(file, str(path), "webhook-chat", size=256)
            with sender(webhook, queue) as sending:
                for number in range(5):
                    file(named(number, f"app-{number}"))
                eventually(lambda: sending.counts.now().sent == 2)
                eventually(lambda: queue.depth() == 3)
        webhook = webhook_of(tmp_path, receiver)
        with closing(opened(path)) as file:
            queue = Backlog(file, str(path), "webhook-chat", size=256)
            with sender(webhook, queue) as sending:
                eventually(lambda: sending.counts.now().sent == 3)
    names = [got.json()["record"]["container"]["name"] for got in receiver.got]
    assert names == [f"app-{number}" for number in range(5)]


def test_the_document_has_every_field() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in (*FIELDS, "url"):
        assert f"\n| `{name}` |" in text
    for name in SHIPPED:
        assert f"`{name}`" in text
