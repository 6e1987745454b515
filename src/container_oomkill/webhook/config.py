# SPDX-License-Identifier: Apache-2.0
"""Reads the file of ``--webhook.config``: what is unknown or wrong in it is refused by its name.

Secrets are never in it, only the names of their files. Needs PyYAML, of the extra
``container-oomkill[web]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult

from ..errors import UsageError
from ..sending.client import parsed_url
from ..sending.headers import read_headers, read_secret
from ..sending.tls import TlsFiles
from ..system.strict_yaml import Refused, Section, load
from ..units import UNIT_SECONDS
from .fields import FIELDS, SECRET, URL
from .signed import key_of
from .template import SHIPPED, Template, read_template, shipped

OPTION = "--webhook.config"
MOST = 16  # webhooks
ENTRY = (
    *("name", "url", "url_file", "template", "template_file", "headers_file", "secret_files"),
    *("signature", "tls", "timeout", "group_interval", "rate_limit"),
)
TLS = ("ca_file", "cert_file", "key_file")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
T = TypeVar("T")
FIELD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Webhook:
    """One entry, its files read."""

    name: str
    where: SplitResult = field(repr=False)  # a webhook's URL is a secret
    template: Template
    secrets: dict[str, str] = field(repr=False)
    key: bytes | None = field(repr=False)
    headers_file: str | None
    tls: TlsFiles
    seconds: float
    group_interval: float
    burst: int
    per_minute: int


def read(path: str) -> list[Webhook]:
    """Raises `UsageError`: one line with the file and the field."""
    folder = Path(path).parent
    try:
        top = Section("", load(path, OPTION), ("webhooks",))
        entries = top.sections("webhooks", ENTRY)
        if not entries:
            raise top.refuse("webhooks", "expected at least one")
        if len(entries) > MOST:
            raise top.refuse("webhooks", f"more than {MOST}")
        found = [_webhook(each, folder) for each in entries]
        names = [each.name for each in found]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise entries[number].refuse("name", f"{name} is there twice")
    except Refused as error:
        raise UsageError(f"{OPTION} {path}: {error}") from None
    return found


def _webhook(entry: Section, folder: Path) -> Webhook:
    name = entry.text("name")
    if name is None or not NAME.fullmatch(name):
        raise entry.refuse("name", "expected up to 32 lower-case letters, digits and hyphens")
    files = entry.section("secret_files")
    secrets = {}
    for secret, given in files.pairs():
        if not FIELD.fullmatch(secret) or given is None:
            raise files.refuse(secret, "expected NAME: FILE, with a name like routing_key")
        secrets[secret] = _used(files, secret, partial(read_secret, str(folder / given)))
    tls = entry.section("tls", TLS)
    signature = entry.section("signature", ("secret_file",))
    headers = _path(entry, "headers_file", folder)
    if headers is not None:
        _used(entry, "headers_file", lambda: read_headers(headers))
    rate = entry.section("rate_limit", ("burst", "per_minute"))
    made = Webhook(
        name,
        _where(entry, folder),
        _template(entry, folder, [SECRET + each for each in secrets]),
        secrets,
        _key(signature, folder),
        headers,
        TlsFiles(*(_path(tls, each, folder) for each in TLS)),
        _seconds(entry, "timeout", 10.0, least=1),
        _seconds(entry, "group_interval", 300.0, least=0),
        _number(rate, "burst", 10),
        _number(rate, "per_minute", 20),
    )
    if made.where.scheme == "https":
        for each in TLS:
            if getattr(made.tls, each) and not Path(getattr(made.tls, each)).is_file():
                raise tls.refuse(each, "no such file")
        _used(tls, "cert_file" if made.tls.cert_file else "ca_file", made.tls.context)
    elif made.tls:
        raise entry.refuse("tls", "the URL is not https")
    return made


def _where(entry: Section, folder: Path) -> SplitResult:
    url, file = entry.text("url"), _path(entry, "url_file", folder)
    if file is not None and url is None:
        return _used(entry, "url_file", lambda: parsed_url(read_secret(file)))
    if url is not None and file is None:
        return _used(entry, "url", lambda: parsed_url(url))
    raise entry.refuse("url", "expected either url or url_file")


def _template(entry: Section, folder: Path, secrets: list[str]) -> Template:
    name, file = entry.text("template"), _path(entry, "template_file", folder)
    if (name is None) == (file is None):
        raise entry.refuse("template", f"expected one of {', '.join(SHIPPED)}, or template_file")
    fields = {*FIELDS, URL, *secrets}
    if file is not None:
        return _used(entry, "template_file", lambda: read_template(Path(file), fields))
    known = entry.choice("template", SHIPPED, SHIPPED[0])
    return _used(entry, "template", lambda: read_template(shipped(known), fields))


def _key(signature: Section, folder: Path) -> bytes | None:
    if not signature:
        return None
    file = _path(signature, "secret_file", folder)
    if file is None:
        raise signature.refuse("secret_file", "is missing")
    return _used(signature, "secret_file", lambda: key_of(read_secret(file)))


def _path(section: Section, name: str, folder: Path) -> str | None:
    """As it is, or relative to the configuration's folder."""
    given = section.text(name)
    return str(folder / given) if given else None


def _used(section: Section, name: str, use: Callable[[], T]) -> T:
    try:
        return use()
    except UsageError as error:
        raise section.refuse(name, str(error)) from None


def _seconds(section: Section, name: str, default: float, *, least: int) -> float:
    text = section.text(name)
    if text is None:
        return default
    number, unit = (text[:-1], UNIT_SECONDS[text[-1]]) if text[-1] in UNIT_SECONDS else (text, 1)
    if not (number.isascii() and number.isdigit() and least <= int(number[:9]) * unit <= 86400):
        raise section.refuse(name, f"{text}: expected a duration like 30s, 5m or 1h")
    return float(int(number) * unit)


def _number(section: Section, name: str, default: int) -> int:
    text = section.text(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 10_000):
        raise section.refuse(name, f"{text}: expected a number from 1 to 10000")
    return int(text)
