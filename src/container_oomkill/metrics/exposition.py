# SPDX-License-Identifier: Apache-2.0
"""Takes metric families, gives the page in the format a scraper asks for, piece by piece.

prometheus_client negotiates the format, writes the heads of the families, escapes label values and
formats numbers. We render the labels of a container once and repeat them on each of its lines;
prometheus_client alone would escape them again for every line of every scrape. What that would cost
in memory and CPU is in docs/benchmarks.md, "What stays by hand" (`make bench` writes the figures).
A test compares the page with prometheus_client's own, byte by byte.

The page comes in pieces, so many thousand lines are never in memory at once and do not block other
clients.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zlib import _Compress as Packer

    from .prometheus import Collector, Metric

OPENMETRICS = "application/openmetrics-text"
# Media type -> its versions that are written; "": none was asked for.
WRITTEN = {OPENMETRICS: ("", "0.0.1", "1.0.0"), "text/plain": ("", "0.0.4", "1.0.0")}
END = b"# EOF\n"
ESCAPING = re.compile(r";\s*escaping=(dots|values)")
NO_WEIGHT = re.compile(r"q=0(\.0*)?")
LINES_A_PIECE = 250
VALUE_MAX = 256  # characters of a label's value


class Labels:
    """A label set, and its text as both formats write it."""

    __slots__ = ("_text", "names", "values")

    def __init__(self, names: tuple[str, ...], values: tuple[str, ...]) -> None:
        """``values``: as `clean` leaves them."""
        self.names = names
        self.values = values
        self._text: str | None = None

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = _text(self.as_dict())
        return self._text

    def plus(self, name: str, value: str) -> Labels:
        """Add a label whose name sorts last and whose value needs no escaping."""
        more = Labels((*self.names, name), (*self.values, value))
        before = f"{self.text[:-1]}," if self.names else "{"
        more._text = f'{before}{name}="{value}"}}'
        return more

    def around(self, name: str, value: str, last: Labels) -> Labels:
        """Add a label that `plus` could add, and after it those of ``last``, which sort last."""
        more = Labels((*self.names, name, *last.names), (*self.values, value, *last.values))
        more._text = f'{self.text[:-1]},{name}="{value}",{last.text[1:]}'
        return more

    def as_dict(self) -> dict[str, str]:
        return dict(zip(self.names, self.values, strict=True))


def _text(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    from .prometheus import Metric, One, Sample, generate_latest

    metric = Metric("x", "", "gauge")
    metric.samples = [Sample("x", labels, 0)]
    line = generate_latest(One(metric)).decode().splitlines()[-1]
    return line[1 : line.rindex("}") + 1]


def clean(value: str | None) -> str:
    """Return a label's value: one line, printable, encodable, of bounded length."""
    if not value:
        return ""
    if not value.isprintable():
        value = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
            for char in value
        )
    return value if len(value) <= VALUE_MAX else value[: VALUE_MAX - 1] + "…"


Point = tuple[str, Labels, float]  # the sample's name, labels, number


@dataclass(frozen=True, slots=True)
class Family:
    """``head``: name, type, help and unit, without samples."""

    head: Metric
    points: Iterable[Point]

    def metric(self) -> Metric:
        """Return it as prometheus_client has it."""
        from .prometheus import Metric, Sample

        head = self.head
        metric = Metric(head.name, head.documentation, head.type, head.unit)
        metric.samples = [Sample(name, labels.as_dict(), n) for name, labels, n in self.points]
        return metric


def _choose(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """Return prometheus_client's encoder for an Accept header, and its content type.

    It is asked for the best of what is really written, because it takes the first format it knows
    whatever its weight, and claims any later version of OpenMetrics over the text of 1.0.0:
    findings/openmetrics_version_echo.sh. Escapings other than its default are left out: they are
    for names that we do not have, but "dots" doubles the underscores of ours. A header it stumbles
    over is taken for none.
    """
    try:
        return _encoder(_best(accept))
    except (TypeError, ValueError):
        return _encoder("")


@lru_cache(maxsize=8)  # the same one each time: `_head` is kept by it
def _encoder(media_range: str) -> tuple[Callable[[Collector], bytes], str]:
    from .prometheus import choose_encoder

    return choose_encoder(ESCAPING.sub("", media_range))


def _best(accept: str) -> str:
    """Return the media range of the largest weight that we write, the first of several; or ""."""
    best, largest = "", 0.0
    for each in accept.split(","):
        media, *parameters = (part.strip() for part in each.split(";"))
        values = dict(part.split("=", 1) for part in parameters if "=" in part)
        weight = float(values.pop("q", "1"))
        if largest < weight <= 1 and values.get("version", "") in WRITTEN.get(media, ()):
            best = ";".join([media, *(f"{name}={value}" for name, value in values.items())])
            largest = weight
    return best


def content_type_of(accept: str) -> str:
    """Return the format this Accept header gets; what has the same one is the same page."""
    return _choose(accept)[1]


def wants_openmetrics(accept: str) -> bool:
    return content_type_of(accept).startswith(OPENMETRICS)


def page(
    families: Iterable[Family], *, accept: str = "", accept_encoding: str = ""
) -> tuple[list[tuple[str, str]], Iterator[bytes]]:
    """Return the headers and the pieces of the body."""
    headers = [("Content-Type", content_type_of(accept)), ("Vary", "Accept, Accept-Encoding")]
    pieces: Iterator[bytes] = chain(pieces_of(families, accept), ending(accept))
    if gzip_accepted(accept_encoding):
        headers.append(("Content-Encoding", "gzip"))
        pieces = gzip(pieces)
    return headers, pieces


def pieces_of(families: Iterable[Family], accept: str) -> Iterator[bytes]:
    """Return these families of a page; `ending` comes behind the last one."""
    from .prometheus import go_float

    encode, _ = _choose(accept)
    for family in families:
        head = family.head
        lines = (
            f"{name}{labels.text} {go_float(number)}\n" for name, labels, number in family.points
        )
        begin = _head(encode, head.name, head.documentation, head.type, head.unit)
        yield begin + "".join(islice(lines, LINES_A_PIECE)).encode()
        while piece := "".join(islice(lines, LINES_A_PIECE)):
            yield piece.encode()


def ending(accept: str) -> list[bytes]:
    """Return what stands behind all families."""
    return [END] if wants_openmetrics(accept) else []


@lru_cache(maxsize=512)  # of each row, in some formats
def _head(
    encode: Callable[[Collector], bytes], name: str, words: str, kind: str, unit: str
) -> bytes:
    from .prometheus import Metric, One

    return encode(One(Metric(name, words, kind, unit))).removesuffix(END)


def gzip_accepted(accept_encoding: str) -> bool:
    """Whether the client takes gzip; with ``q=0`` it says that it does not (RFC 9110, 12.4.2)."""
    for each in accept_encoding.lower().split(","):
        coding, *parameters = (part.replace(" ", "") for part in each.split(";"))
        if coding == "gzip":
            return not any(NO_WEIGHT.fullmatch(parameter) for parameter in parameters)
    return False


def gzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = new_packer()
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def new_packer() -> Packer:
    """Return what compresses a page."""
    # Level 1: label text repeats so much that higher ones gain a tenth for three times the time.
    return zlib.compressobj(level=1, wbits=31)
