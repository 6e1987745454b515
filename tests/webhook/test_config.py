# SPDX-License-Identifier: Apache-2.0
"""The file of --webhook.config: what is wrong in it is one line with its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.webhook.config import read

from ..support.webhooks import configured


def refused(folder: Path, **entry: Any) -> str:
    with pytest.raises(UsageError) as error:
        configured(folder, **entry)
    text = str(error.value)
    assert text.startswith(f"--webhook.config {folder / 'webhooks.yml'}: webhooks[0]")
    assert "\n" not in text
    assert error.value.exit_status == 2
    return text.partition("webhooks[0]")[2]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": None}, ".name: expected up to 32 lower-case letters, digits and hyphens"),
        ({"name": "A b"}, ".name: expected up to 32 lower-case letters, digits and hyphens"),
        ({"url": None}, ".url: expected either url or url_file"),
        ({"url_file": "url"}, ".url: expected either url or url_file"),
        ({"url": "ftp://host"}, ".url: expected http://HOST[:PORT][/PATH] or https://"),
        ({"url": "https://u:secret@host"}, ".url: user and password in a URL are not supported"),
        ({"url": None, "url_file": "none"}, ".url_file: {folder}/none: no such file or directory"),
        ({"url": None, "url_file": "empty"}, ".url_file: {folder}/empty: expected one line"),
        ({"template": "teams"}, ".template: teams: expected one of alertmanager, generic, "),
        ({"template_file": "x"}, ".template: expected one of alertmanager, generic, "),
        (
            {"template": "pagerduty"},
            ".template: {assets}/pagerduty.json: ${secret.routing_key}",
        ),
        ({"template": None, "template_file": "bad"}, ".template_file: {folder}/bad: not JSON: "),
        ({"template": None, "template_file": "field"}, ".template_file: {folder}/field: ${nobody}"),
        ({"template": None, "template_file": "form"}, ".template_file: {folder}/form: ${html:id}"),
        ({"template": None, "template_file": "beside"}, ".template_file: {folder}/beside: ${json:"),
        ({"template": None, "template_file": "key"}, ".template_file: {folder}/key: ${id}: a fiel"),
        ({"timeout": "soon"}, ".timeout: soon: expected a duration like 30s, 5m or 1h"),
        ({"timeout": "0"}, ".timeout: 0: expected a duration"),
        ({"group_interval": "2d"}, ".group_interval: 2d: expected a duration"),
        ({"rate_limit": {"burst": "0"}}, ".rate_limit.burst: 0: expected a number from 1 to 10000"),
        ({"rate_limit": {"rate": "1"}}, ".rate_limit.rate: no such field"),
        ({"secret": "x"}, ".secret: no such field"),
        ({"secret_files": {"Routing": "empty"}}, ".secret_files.Routing: expected NAME: FILE"),
        ({"secret_files": {"key": "none"}}, ".secret_files.key: {folder}/none: no such file"),
        ({"signature": {"secret": "abc"}}, ".signature.secret: no such field"),
        ({"signature": {"secret_file": "none"}}, ".signature.secret_file: {folder}/none: no such"),
        (
            {"signature": {"secret_file": "base64"}},
            ".signature.secret_file: what follows whsec_",
        ),
        ({"headers_file": "bad"}, ".headers_file: {folder}/bad: line 1: expected NAME: VALUE"),
        ({"tls": {"ca_file": "none"}}, ".tls: the URL is not https"),
        ({"url": "https://h", "tls": {"ca_file": "none"}}, ".tls.ca_file: no such file"),
        ({"url": "https://h", "tls": {"ca_file": "bad"}}, ".tls.ca_file: {folder}/bad: OpenSSL"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    files = {
        "empty": "\n",
        "url": "http://host/",
        "bad": "{",
        "field": '{"a": ["${nobody}"]}',
        "form": '{"a": "${html:id}"}',
        "beside": '{"a": "n ${json:count}"}',
        "key": '{"${id}": 1}',
        "base64": "whsec_%%%",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    from container_oomkill.webhook.template import FOLDER

    expected = words.replace("{folder}", str(tmp_path)).replace("{assets}", str(FOLDER))
    assert refused(tmp_path, **entry).startswith(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "webhooks: expected at least one"),
        ("webhooks: chat", "webhooks: expected a list"),
        ("hooks: []", "hooks: no such field"),
        ("webhooks: [chat]", "webhooks[0]: expected fields, each NAME: VALUE"),
        ("webhooks: [", "line "),
        ("webhooks:\n- {name: a, url: http://h, template: slack}\n" * 1
         + "- {name: a, url: http://h, template: slack}\n", "webhooks[1].name: a is there twice"),
    ],
)  # fmt: skip
def test_the_whole_file(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "webhooks.yml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        read(str(file))
    assert str(error.value).startswith(f"--webhook.config {file}: {words}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or directory"):
        read(str(tmp_path / "none"))


def test_secrets_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://hooks.example/T0/secret\n")
    (tmp_path / "key").write_text("secret-key\n")
    one = configured(
        tmp_path,
        url=None,
        url_file="url",
        template="pagerduty",
        secret_files={"routing_key": "key"},
        signature={"secret_file": "key"},
    )
    assert one.secrets == {"routing_key": "secret-key"}
    assert one.key == b"secret-key"
    assert "secret" not in repr(one).replace("secrets", "")
