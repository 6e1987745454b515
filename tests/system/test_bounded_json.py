# SPDX-License-Identifier: Apache-2.0
"""JSON is decoded as ever, and refused before it is decoded where it would cost too much."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.system.bounded_json import DEPTH_MAX, loads

KIB = 1 << 10
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(ANY, st.booleans())
def test_what_it_decodes(value: object, ascii_only: bool) -> None:
    try:
        data = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:  # half a pair, which only an escape can be
        return
    assert loads(data) == json.loads(data)


@given(st.binary() | st.text(alphabet='"\\[]{},:a0 ').map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """The answer of the library's own decoder, in UTF-8, or a `ValueError`."""
    try:
        found = loads(data)
    except ValueError:
        return
    assert found == json.loads(data.decode())


@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_nesting(pair: str) -> None:
    start, end = pair[:-1], pair[-1]
    whole = f"{start * (DEPTH_MAX - 1)}[]{end * (DEPTH_MAX - 1)}"
    loads(whole.encode())
    with pytest.raises(ValueError, match="nested more than 32 deep"):
        loads(f"{start}{whole}{end}".encode())
    loads(json.dumps([whole * 100]).encode())  # brackets in a string nest nothing


def test_parts() -> None:
    assert loads(b'[1, 2, {"a, b": "[{"}]', parts_max=6) == [1, 2, {"a, b": "[{"}]
    with pytest.raises(ValueError, match="more than 5 parts"):
        loads(b'[1, 2, {"a, b": "[{"}]', parts_max=5)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * (64 * KIB),
        b'{"a":' * (12 * KIB),
        b'"' + b'\\"' * (32 * KIB),
        b'"\\' * (32 * KIB),
        b'["' * (32 * KIB),
    ],
    ids=["lists", "objects", "escaped quotes", "quotes and escapes", "open strings"],
)
def test_what_it_costs_to_refuse(data: bytes) -> None:
    """No more than some copies of it, whatever is in it."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"."):
            loads(data)
        assert tracemalloc.get_traced_memory()[1] < 6 * len(data)
    finally:
        tracemalloc.stop()
