"""Transfer encodings undone in pieces: any cutting of the input gives the same octets."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.imap.binary import UnknownEncoding, decode, decoder

PIECES = st.lists(st.integers(1, 9), min_size=1, max_size=40)


def in_pieces(data: bytes, sizes: list[int], encoding: str, *, text: bool) -> bytes:
    one = decoder(encoding, text=text)
    out, start = [], 0
    for size in sizes:
        out.append(one.feed(data[start : start + size]))
        start += size
    out.append(one.feed(data[start:]))
    return b"".join(out) + one.finish()


@given(st.binary(max_size=200), PIECES)
def test_base64(data: bytes, sizes: list[int]) -> None:
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    assert in_pieces(encoded, sizes, "BASE64", text=False) == data


@given(st.binary(max_size=200), PIECES)
def test_quoted_printable(data: bytes, sizes: list[int]) -> None:
    encoded = quopri.encodestring(data).replace(b"\n", b"\r\n")
    assert in_pieces(encoded, sizes, "quoted-printable", text=False) == decode(
        encoded, "quoted-printable", text=False
    )


@given(st.text(alphabet="a\r\n", max_size=40), PIECES)
def test_text_gets_crlf(words: str, sizes: list[int]) -> None:
    data = words.encode()
    found = in_pieces(data, sizes, "8bit", text=True)
    assert found == decode(data, "8bit", text=True)
    assert found.replace(b"\r\n", b"\n") == data.replace(b"\r\n", b"\n")
    assert found.count(b"\n") == found.count(b"\r\n")


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGVs\r\nbG8=\r\n", b"hello"),
        (b"aGVsbG8", b"hello"),  # padding left out
        (b"aGk=\r\naGk=\r\n", b"hihi"),  # padded line by line
        (b"a!G#V sbG8=", b"hello"),  # strangers in between
        (b"a", b""),
    ],
)
def test_base64_as_found_in_mail(encoded: bytes, decoded: bytes) -> None:
    assert decode(encoded, "base64", text=False) == decoded


def test_a_line_without_end_is_decoded_all_the_same() -> None:
    data = b"=41" * 100_000
    assert in_pieces(data, [70_001] * 4, "quoted-printable", text=False) == b"A" * 100_000


def test_an_unknown_encoding_is_said() -> None:
    with pytest.raises(UnknownEncoding):
        decode(b"x", "x-uuencode", text=False)
