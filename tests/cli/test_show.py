# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill show`: the list, the picture, and where the incidents come from."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from container_oomkill.cli import exporter_client
from container_oomkill.cli.show import find, read_latest, show_incidents
from container_oomkill.diagnosis.breakdown import find_breakdown
from container_oomkill.errors import Error, RecordError, UsageError
from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.incident.before import Before
from container_oomkill.incident.model import Container, Domain, Incident, Oom, Stat, Trigger, Victim
from container_oomkill.sinks import json_lines
from container_oomkill.sinks.bar import cells, sizes
from container_oomkill.sinks.printable import width
from container_oomkill.sinks.query import Query
from container_oomkill.units import size

from ..support.certificates import make_certificate
from ..support.incidents import MIB, TIME, FakeProbe, container, incident, victim
from ..support.waiting import PATIENCE_SECONDS
from ..support.web_config import REQUIRED, web_config

COMMAND = [sys.executable, "-m", "container_oomkill", "show"]
UNKNOWN = incident(
    scope=None,
    container=Container(),
    domain=None,
    oom=Oom(),
    trigger=Trigger(),
    victims=(Victim(tid=5),),
    candidates=None,
)


def shown(*incidents: Incident, wanted: str | None = None, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    show_incidents(incidents, stream, wanted=wanted, colour="auto")
    return raw.getvalue().decode(encoding)


def one(given: Incident, **options: Any) -> str:
    return shown(given, wanted=given.id, **options)


def run(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_the_shape_of_the_last_kills_and_their_rhythm(tmp_path: Path) -> None:
    kills = [
        incident(n, time=TIME + n * 6 * 3600.0, before=Before(shape="leak")) for n in range(1, 6)
    ]
    kills.append(incident(9, time=TIME + 60, container=container("once")))
    file = tmp_path / "kills"
    file.write_text("".join(json_lines.render(each) + "\n" for each in kills))
    words, options = "leak, 5th time in a row, every 6 h", ("--from", str(file), "--as-recorded")
    listed = on_terminal(100, *options, NO_COLOR="1")
    assert listed.count(words) == 1  # at its latest
    assert listed.count("in a row") == 1
    assert "in a row" not in run(*options).stdout  # elsewhere each is one line of the old columns
    assert f"{words}  id " in run(*options, kills[4].id).stdout
    assert "leak, 2nd time in a row  id " in run(*options, kills[1].id).stdout
    assert "in a row" not in run(*options, kills[0].id).stdout


def test_the_list_is_newest_first_and_says_what_there_is() -> None:
    lines = shown(incident(1), incident(2, verdict="because", scope="pod")).splitlines()
    assert lines[0].split() == ["id", "when", "container", "scope", "limit", "verdict"]
    assert [line.split()[0] for line in lines[1:]] == ["12a05f200-2", "12a05f200-1"]
    assert lines[1].endswith("shop/cart-7d9f4/app  pod        128.0 MiB  because")
    assert shown() == "no incidents\n"


def test_an_id_is_known_by_its_start() -> None:
    two = [incident(1), incident(12)]
    assert find(two, "12a05f200-12") is two[1]
    assert find(two, "12a05f200-1") is two[0]  # exactly, though both start so
    for wanted, words in (
        ("12a", "12a is ambiguous: 2 incidents start with it: 12a05f200-1,"),
        ("7", "no inc"),
    ):
        with pytest.raises(UsageError, match=words):
            find(two, wanted)
    with pytest.raises(UsageError, match="no incident"):
        find(two, "")


def test_the_picture_has_everything() -> None:
    text = one(incident(verdict="the verdict"))
    assert text.startswith("OOM  shop/cart-7d9f4/app  limit 128.0 MiB reached (its own)\n")
    assert "id 12a05f200-1  node node-1  by fentry" in text
    assert "\nof       image registry/cart:1.2  runtime containerd\n" in text
    assert "\nthe verdict\n" in text
    assert "█ anon 124.0 MiB  ▓ file 0.8 MiB  ▒ shmem 0.2 MiB  ▚ kernel 3.0 MiB\n" in text
    assert re.search(r"^anon +124\.0 +124\.0$", text, re.MULTILINE)
    assert re.search(r"^killed +4711 +python3 +125\.0 +0\.0 +33927 +-3 +3\.2 s$", text, re.M)
    assert re.search(r"^also +4699 +sh +0\.4 +0 +-997$", text, re.MULTILINE)
    assert "asked    gunicorn [4712]  order 0  gfp 0xcc0 GFP_KERNEL\n" in text
    assert "   container-oomkill explain own-limit\n" in text
    assert "\033" not in text


def test_a_pods_limit_puts_three_side_by_side() -> None:
    pod = Domain(cgroup="/pod", cgroup_id=1, usage_bytes=512 * MIB, limit_bytes=512 * MIB)
    text = one(incident(domain=pod, victims=(victim(usage_bytes=80 * MIB, stat=Stat()),)))
    assert re.search(r"^usage +512\.0 +80\.0 +125\.0$", text, re.MULTILINE)
    assert "limit of   /pod\n" in text


def test_what_is_unknown_is_left_out() -> None:
    text = one(UNKNOWN)
    assert "0.0" not in text
    assert "None" not in text
    assert "memory " not in text
    assert "next" not in text


def test_a_stream_without_blocks_gets_ascii() -> None:
    text = one(incident(), encoding="ascii")
    assert "# anon 124.0 MiB  = file 0.8 MiB" in text
    assert re.search(r"^memory   #+=?", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["\x1b[31m<script>", "\u202eevil", "漢" * 5000, "a\nb"])
def test_no_name_harms(name: str) -> None:
    hostile = incident(
        container=container(name, namespace=name, pod=name),
        victims=(victim(command=name, cgroup="/" + name),),
        verdict=name,
        node=name,
    )
    for text in (shown(hostile), one(hostile)):
        assert all(line.isprintable() for line in text.splitlines())
    assert max(map(width, one(hostile).splitlines())) <= 100


def test_many_tasks_are_counted() -> None:
    text = one(incident(victims=tuple(victim(pid=n) for n in range(1, 31))))
    assert "\nand 12 more\n" in text


def full(usage: int | None, limit: int | None, **stat: Any) -> Incident:
    domain = Domain("/a", usage_bytes=usage, limit_bytes=limit, stat=Stat(**stat))
    return incident(domain=domain, victims=(Victim(),))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (full(100, 120, anon_bytes=60), {"anon": 60, "rest": 40, "free": 20}),
        (
            full(100, 100, anon_bytes=60, file_bytes=40, shmem_bytes=30),
            {"anon": 60, "file": 10, "shmem": 30},
        ),
        (full(100, None), {"rest": 100}),
        # What the limit left is unknown where the usage is.
        (full(None, 100, kernel_bytes=5, sock_bytes=1), {"kernel": 5, "sockets": 1}),
        (full(100, 50, anon_bytes=110), {"anon": 110}),  # not read at the same instant
    ],
)
def test_the_bars_parts_add_up(given: Incident, expected: dict[str, int]) -> None:
    breakdown = find_breakdown(given)
    assert breakdown is not None
    assert sizes(breakdown) == expected


def test_of_nothing_there_is_no_bar() -> None:
    assert find_breakdown(full(None, None)) is None
    assert "memory " not in one(full(None, None))


@pytest.mark.parametrize("columns", [1, 7, 60, 111])
def test_the_bar_is_as_wide_as_it_should_be(columns: int) -> None:
    parts = {"anon": 124 * MIB, "file": MIB // 3, "kernel": 3 * MIB, "free": 1}
    assert sum(cells(parts, columns).values()) == columns
    assert cells({"anon": 1, "free": 1}, 10) == {"anon": 5, "free": 5}
    assert cells({}, 10) == {}


def on_terminal(
    columns: int, *arguments: str, command: tuple[str, ...] = ("show",), **environ: str
) -> str:
    """What it writes to a terminal of that width."""
    ours, its = pty.openpty()
    try:
        os.set_blocking(ours, True)
        termios.tcsetwinsize(its, (24, columns))
        env = {"PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8"} | environ
        with subprocess.Popen(
            [*COMMAND[:-1], *command, *arguments], stdout=its, env=env
        ) as process:
            os.close(its)
            its = -1
            written = b""
            while True:
                try:
                    written += os.read(ours, 65536)
                except OSError:  # nobody has the other end any more
                    break
            assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        os.close(ours)
        if its >= 0:
            os.close(its)
    return written.decode()


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "kills"
    path.write_text("".join(json_lines.render(incident(n)) + "\n" for n in (1, 2)))
    return str(path)


def test_records_for_programs_are_a_recording_again(recording: str, tmp_path: Path) -> None:
    """Oldest first, all of a container; with an id that one alone."""
    text = Path(recording).read_text()
    source = tmp_path / "backwards"
    source.write_text("".join(reversed(text.splitlines(keepends=True))) * 4)
    done = run("--from", str(source), "-o", "json", "--as-recorded")
    sequences = [json.loads(line)["sequence"] for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr, sequences) == (0, "", [1] * 4 + [2] * 4)
    wanted = incident(2).id
    one_ = run("--from", recording, "-o", "json", "--as-recorded", wanted)
    assert one_.stdout == text.splitlines(keepends=True)[1]
    assert f"id={wanted} " in run("--from", recording, "-o", "logfmt", wanted).stdout
    assert run("--from", recording, "-o", "json", "--pod", "none").stdout == ""
    with Path(recording).open("a") as file:
        file.write("{")
    cut = run("--from", recording, "-o", "json", "--as-recorded")
    assert (cut.returncode, cut.stdout) == (1, text)
    assert "line 3: not JSON" in cut.stderr


def test_a_terminal_is_filled_and_not_overrun(recording: str) -> None:
    for columns in (60, 80, 110):
        for wanted in ([], ["12a05f200-2"]):
            text = on_terminal(columns, "--from", recording, *wanted, NO_COLOR="1")
            assert "\033" not in text
            widths = [width(line) for line in text.splitlines()]
            assert max(widths) <= columns
            assert columns in widths or not wanted  # by the bar
    assert "\033[1;31mOOM" in on_terminal(80, "--from", recording, "12a05f200-2")


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_the_text_of_probe_and_replay_fits_the_terminal(columns: int, tmp_path: Path) -> None:
    recording = tmp_path / "kills"
    recording.write_text("".join(path.read_text() for path in REPORTS))
    text = on_terminal(columns, str(recording), command=("replay",), NO_COLOR="1")
    widths = [width(line) for line in text.splitlines()]
    assert max(widths) <= min(columns, 100)
    assert max(widths) > min(columns, 100) - 10
    words = text.replace("\r", "").split()
    elsewhere = subprocess.run(
        [*COMMAND[:-1], "replay", str(recording)], capture_output=True, text=True, check=True
    ).stdout
    if columns >= 100:
        assert words == elsewhere.split()


REPORTS = sorted((Path(__file__).parents[1] / "data" / "reports").glob("*.json"))


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120, 200])
def test_the_list_keeps_scope_limit_and_reason_at_every_width(columns: int, tmp_path: Path) -> None:
    recording = tmp_path / "kills"
    recording.write_text("".join(path.read_text() for path in REPORTS))
    incidents, broken = read_latest(str(recording))
    assert (broken, len(incidents)) == (None, len(REPORTS))
    text = on_terminal(columns, "--from", str(recording), NO_COLOR="1")
    lines = text.splitlines()
    assert max(map(width, lines)) <= columns
    for each in incidents:
        row = next(n for n, line in enumerate(lines) if line.startswith(each.id))
        if columns >= 80:
            assert f"  {each.scope}" in lines[row]
            if each.domain is not None and each.domain.limit_bytes is not None:
                assert lines[row].endswith(f"  {size(each.domain.limit_bytes)}")
        below = [line for line in lines[row + 1 :][:2] if line.startswith("  ")]
        words = " ".join(line.strip() for line in below)
        verdict = each.verdict or ""
        start = words.removesuffix(" …")
        assert verdict.startswith(start)
        assert len(start) > columns // 2
        if start != verdict and columns > 60:  # whole clauses
            assert words.endswith(" …")
            assert verdict[len(start)] in ";,:"
    assert lines[-1].startswith("to show one i")
    coloured = on_terminal(columns, "--from", str(recording))
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == text
    assert coloured != text


def test_one_container_in_a_loop_leaves_room_for_the_others(tmp_path: Path) -> None:
    kills = [incident(1, container=container("other"))]
    kills += [incident(number, container=container("loop")) for number in range(2, 302)]
    recording = tmp_path / "kills"
    recording.write_text("".join(json_lines.render(each) + "\n" for each in kills))
    lines = run("--from", str(recording)).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:7]] == [
        *(each.id for each in reversed(kills[-5:])),
        kills[0].id,
    ]
    assert lines[7:] == [
        "and 295 more of shop/cart-7d9f4/loop",
        "to list all: container-oomkill show --limit 301",
    ]
    asked = run("--from", str(recording), "--limit", "301").stdout.splitlines()
    assert len(asked) == 302
    assert len(run("--from", str(recording), "--limit", "2").stdout.splitlines()) == 3
    only = run("--from", str(recording), "--container", "OTH").stdout.splitlines()
    assert [line.split()[0] for line in only[1:]] == [kills[0].id]
    assert run("--from", str(recording), "--pod", "nothing").stdout == "no matching incidents\n"
    # The loop's last one, in full: it is not the first.
    assert "\n2026-" in run("--from", str(recording), kills[-1].id).stdout
    assert "  300th time in 24 h  id " in run("--from", str(recording), kills[-1].id).stdout
    assert " time in 24 h" not in run("--from", str(recording), kills[0].id).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scope", "moon"), "--scope 'moon': expected one of container, pod, cgroup, node,"),
        (("--since", "yesterday"), "--since 'yesterday': expected RFC 3339, seconds since"),
        (("--until", "1y"), "--until '1y': expected RFC 3339"),
        (("--pod", " "), "--pod: expected a value"),
        (("--limit", "0"), "--limit: expected a whole number above 0, found '0'"),
    ],
)
def test_a_filter_of_no_use_is_one_line(
    recording: str, arguments: tuple[str, ...], words: str
) -> None:
    done = run("--from", recording, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


def test_from_a_file_and_standard_input(recording: str) -> None:
    listed = run("--from", recording)
    assert (listed.returncode, listed.stdout.count("\n")) == (0, 3)
    assert run("--from", "-", stdin=Path(recording).read_text()).stdout == listed.stdout
    assert run(CONTAINER_OOMKILL_FROM=recording).stdout == listed.stdout
    for arguments, status, words in (
        (("--from", "/nowhere"), 2, "read the recording /nowhere"),
        (("--from", recording, "nothing"), 2, "no incident nothing"),
        (("--from", "-"), 0, ""),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (status, bool(words))
        assert words in done.stderr


def test_what_is_before_a_broken_line_is_shown_all_the_same(recording: str) -> None:
    whole = run("--from", recording).stdout
    with Path(recording).open("a") as file:
        file.write(json_lines.render(incident(3))[:500])  # as a full disk leaves it
    done = run("--from", recording)
    assert (done.returncode, done.stdout) == (1, whole)
    assert "line 3: not JSON" in done.stderr
    assert done.stderr.endswith(", and the line is incomplete\n")
    done = run("--from", recording, incident(2).id)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stdout.startswith("OOM  ")
    Path(recording).write_bytes(bytes(100))
    done = run("--from", recording)
    assert (done.returncode, done.stdout) == (1, "")


@contextmanager
def serving(**settings: Any) -> Iterator[str]:
    """A running exporter that has two incidents; its HOST:PORT."""
    made = Exporter(
        ExporterSettings(listen_addresses=("127.0.0.1:0",), **settings),
        FakeProbe(),
        version="1.2.3",
        render=json_lines.render,
    )
    with made as exporter:
        exporter.start()
        exporter.sink(incident(1))
        exporter.sink(incident(2))
        yield f"127.0.0.1:{exporter.addresses[0].port}"


def test_a_running_exporter() -> None:
    with serving() as address:
        assert exporter_client.Exporter(f"http://{address}/").incidents() == [
            incident(2),
            incident(1),
        ]
        done = run("--url", f"http://{address}", "12a05f200-1")
        assert done.stdout.startswith("OOM  shop/cart-7d9f4/app")


def test_the_exporter_filters() -> None:
    """By the same query as the pages; older ones say what they do not know."""
    with serving() as address:
        asker = exporter_client.Exporter(f"http://{address}")
        for query, found in (
            (Query(after_sequence=1, since="1"), [2]),
            (Query(limit=1), [2]),
            (Query(container="ap", node="NODE"), [2, 1]),
            (Query(namespace="elsewhere"), []),
        ):
            assert [each.sequence for each in asker.incidents(query)] == found
        url = f"http://{address}"
        assert run("--url", url, "--pod", "elsewhere").stdout == "no matching incidents\n"
        assert len(run("--url", url, "--limit", "1").stdout.splitlines()) == 2
    refusal = b'HTTP/1.0 400 Bad Request\r\n\r\n{"error": "unknown parameter \'pod\'"}'
    with answering(refusal) as url, pytest.raises(Error, match="400 bad request: unknown par"):
        exporter_client.Exporter(url).incidents(Query(pod="x"))


def test_an_exporter_behind_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "a socket"
    settings = ExporterSettings(listen_addresses=(f"unix:{path}",))
    with Exporter(settings, FakeProbe(), version="1", render=json_lines.render) as exporter:
        exporter.start()
        exporter.sink(incident(1))
        assert incident(1).id in run("--url", f"unix:{path}").stdout


def test_an_exporter_that_asks_who_you_are(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw("päss:word".encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users:\n  human: {hashed}\n")
    (tmp_path / "password").write_text("päss:word\n")
    (tmp_path / "wrong").write_text("x")
    with serving(web_config_file=str(tmp_path / "web.yml")) as address:
        asker = exporter_client.Exporter(
            f"http://{address}", user="human", password_file=str(tmp_path / "password")
        )
        assert len(asker.incidents()) == 2
        for wrong in (
            replace(asker, user=None),
            replace(asker, password_file=str(tmp_path / "wrong")),
        ):
            with pytest.raises(Error, match="401 unauthorized: pass --user and --password-file"):
                wrong.incidents()


def test_an_exporter_that_speaks_tls(tmp_path: Path) -> None:
    for name, ca in (("ca", None), ("server", None), ("client", "ca")):
        make_certificate(tmp_path, name, ca=ca)
    config = web_config(tmp_path, *REQUIRED)
    server = str(tmp_path / "server.pem")
    with serving(web_config_file=str(config)) as address:
        asker = exporter_client.Exporter(
            f"https://{address}",
            ca_file=server,
            cert_file=str(tmp_path / "client.pem"),
            key_file=str(tmp_path / "client.key"),
        )
        assert len(asker.incidents()) == 2
        with pytest.raises(Error, match=f"ask https://{address}: "):
            replace(asker, cert_file=None).incidents()
        with pytest.raises(Error, match="certificate verify failed"):
            replace(asker, ca_file=None).incidents()
        with pytest.raises(UsageError, match=r"read .*server\.pem, /nowhere: no such file"):
            replace(asker, cert_file="/nowhere", key_file=None).incidents()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://a", "expected http://HOST:PORT or https://HOST:PORT"),
        ("localhost:9262", "expected http"),
        ("http://", "expected http"),
        ("http://a:99999", "Port out of range"),
        ("http://user:secret@a", "with --user and --password-file"),
        ("http://127.0.0.1:1/ä", "can't encode"),
        ("http://a..b:9262", "label empty"),
        ("http://127.0.0.1/a b", "control characters can't be sent"),
        ("unix:socket", "or unix:/PATH"),
    ],
)
def test_an_address_of_no_use(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        exporter_client.Exporter(url).incidents()


def test_a_password_without_a_file() -> None:
    with pytest.raises(UsageError, match="--user needs --password-file"):
        exporter_client.Exporter("http://127.0.0.1:1", user="me").incidents()
    with pytest.raises(UsageError, match="read /nowhere"):
        exporter_client.Exporter(
            "http://127.0.0.1:1", user="me", password_file="/nowhere"
        ).incidents()


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Somebody else, who says this and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            asking, _ = listening.accept()
            with asking:
                asking.recv(65536)
                asking.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"", Error, "is the exporter running"),
        (b"SSH-2.0-OpenSSH\r\n", Error, "is the exporter running"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", Error, "404 not found: check --url"),
        (b"HTTP/1.0 500 Oh\r\n\r\n", Error, "500 oh: see the exporter's log"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", Error, "in chunks"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{}", Error, "after 2 of 99 bytes"),
        (b"HTTP/1.0 200", Error, "no http answer: is the exporter running"),
        (b"HTTP/1.0 404\n\nx", Error, "404 : check --url"),
        (OK + b"<html>", RecordError, "expected a JSON list of incidents"),
        (OK + b"[]", RecordError, "expected a JSON list of incidents"),
        (OK + b'{"incidents": 1}', RecordError, "incidents: expected a list"),
        (OK + b'{"incidents": [{"schema": 2}]}', RecordError, "schema: expected 1, found 2"),
        (OK + b"[" * 100_000, RecordError, "expected a JSON list of incidents"),
    ],
)
def test_somebody_else_answers(answer: bytes, kind: type[Error], words: str) -> None:
    with answering(answer) as url, pytest.raises(kind, match=words):
        exporter_client.Exporter(url).incidents()


def test_nobody_answers_and_it_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = run("--url", url)
    words = f"container-oomkill: ask {url}: connection refused: is the exporter running?\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", words)


def test_an_answer_is_read_as_the_exporter_writes_it() -> None:
    records = ",".join(json_lines.render(each) for each in (incident(1), UNKNOWN))
    assert json.loads(f"[{records}]")[1]["domain"] is None
    with answering(OK + f'{{"incidents": [{records}]}}'.encode()) as url:
        assert exporter_client.Exporter(url).incidents() == [incident(1), UNKNOWN]


def test_a_command_line_is_shown_whole_and_harmless() -> None:
    words = [f"--option={number}" for number in range(60)]
    given = incident(victims=(victim(cmdline="app '\x1b[2J' " + " ".join(words)),))
    text = shown(given, wanted=given.id)
    assert "cmdline  app '\\x1b[2J' --option=0" in text
    assert [word for word in text.split() if word.startswith("--option=")] == words
    assert "cmdline" not in shown(incident(), wanted=incident().id)
