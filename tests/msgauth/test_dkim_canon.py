"""Canonicalisation, against a plain reading of RFC 6376 §3.4 with regular expressions, in any chunking."""

from __future__ import annotations

import hashlib
import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.msgauth.dkim_canon import BodyForm, BodyHashes, relaxed_field

PIECES = st.lists(
    st.sampled_from([b"\r\n", b"\r\n\r\n", b" ", b"\t", b"  ", b"\r", b"\n", b"a", b"bc", b"\0"])
)


def plain_simple(body: bytes) -> bytes:
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n"


def plain_relaxed(body: bytes) -> bytes:
    body = re.sub(rb"[ \t]+", b" ", body)
    body = re.sub(rb" (?=\r\n|\Z)", b"", body)
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n" if body else b""


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(PIECES, st.lists(st.integers(0, 40), max_size=6), st.one_of(st.none(), st.integers(0, 30)))
def test_any_chunking_gives_the_plain_form(pieces: list[bytes], cuts: list[int], length: int | None) -> None:
    body = b"".join(pieces)
    forms = [BodyForm(True, length), BodyForm(False, length)]
    hashes = BodyHashes(forms)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        hashes.feed(body[start:end])
    digests = hashes.finish()
    for form, plain in zip(forms, (plain_relaxed(body), plain_simple(body)), strict=True):
        assert digests[form].digest == hashlib.sha256(plain[:length]).digest()
        assert digests[form].size == len(plain)


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"SubJect :  a \t b\r\n\tc ", b"subject:a b c"),
        (b"A: X", b"a:X"),  # the examples of RFC 6376 §3.4.5
        (b"B : Y\t\r\n\tZ  ", b"b:Y Z"),
        (b"Empty:", b"empty:"),
        (b"V: a\x0b\x0cb  c\rd", b"v:a\x0b\x0cb c\rd"),
    ],
)
def test_relaxed_field(raw: bytes, wanted: bytes) -> None:
    assert relaxed_field(raw) == wanted


def test_a_body_of_line_ends_only_costs_no_memory() -> None:
    hashes = BodyHashes([BodyForm(True), BodyForm(False)])
    for _ in range(64):
        hashes.feed(b"\r\n" * 32_768)
    digests = hashes.finish()
    assert digests[BodyForm(True)].digest == hashlib.sha256(b"").digest()
    assert digests[BodyForm(False)].digest == hashlib.sha256(b"\r\n").digest()
