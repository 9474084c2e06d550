"""Messages made to hurt: every answer comes, is well formed, and takes time in proportion to the size."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.limits import HEADER_ADDRESSES, HEADER_FIELDS, MIME_DEPTH, MIME_FALSE_DELIMITERS, MIME_PARTS
from posthouse.message.headers import Headers
from posthouse.message.html import html_text
from posthouse.message.mailboxes import flat, parse_mailbox_list
from posthouse.message.mime import Part, decode_parts, encode_parts, scan
from posthouse.message.structure import body, body_structure, envelope
from posthouse.message.text import preview, text_of
from posthouse.message.words import fold, terms
from tests.machine import slowness
from tests.message import s_expression
from tests.message.test_wild import check_offsets

MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def everything(raw: bytes) -> Part:
    """All answers about a message, each checked."""
    headers = Headers.scan(raw)
    part = scan(raw, headers)
    s_expression.check_envelope(s_expression.read(envelope(headers)))
    s_expression.check_body(s_expression.read(body_structure(part, raw)), extended=True)
    s_expression.check_body(s_expression.read(body(part)), extended=False)
    check_offsets(raw, part)
    assert decode_parts(encode_parts(part)) == part
    for text in text_of(raw, part):
        text.encode("utf-8")
        terms(fold(text))
    preview(raw, part).encode("utf-8")
    for name in ("subject", "from", "to", "reply-to"):
        (headers.text(name) or "").encode("utf-8")
        for mailbox in flat(parse_mailbox_list(headers.first(name) or b"")):
            (mailbox.readable_address + mailbox.display_name).encode("utf-8")
    return part


def depth_of(part: Part) -> int:
    inner = [*part.children, *([part.message] if part.message else [])]
    return 1 + max(map(depth_of, inner), default=0)


def nested_multiparts(levels: int) -> bytes:
    opening = [
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(levels)
    ]
    return b"".join(opening) + b"\r\nbottom\r\n"


def test_a_thousand_nested_levels() -> None:
    part = everything(nested_multiparts(1000))
    assert depth_of(part) == MIME_DEPTH + 1


def test_a_thousand_nested_messages() -> None:
    part = everything(b"Content-Type: message/rfc822\r\n\r\n" * 1000 + b"Subject: x\r\n\r\nbottom")
    assert depth_of(part) == MIME_DEPTH + 1


def test_parts_beyond_the_limit_are_one_leaf() -> None:
    raw = MULTIPART + b"--b\r\n\r\nx\r\n" * 5000 + b"--b--\r\n"
    part = everything(raw)
    assert len(part.children) == MIME_PARTS - 1
    assert part.children[-1].subtype == "octet-stream"
    assert part.children[-1].body_end == len(raw)


def test_a_million_headers() -> None:
    raw = b"X: y\r\n" * 1_000_000 + b"\r\nbody"
    headers = Headers.scan(raw)
    assert len(headers) == HEADER_FIELDS
    assert raw[headers.end :] == b"body"
    scan(raw, headers)


def test_addresses_end_at_their_limit() -> None:
    for value in (b"a@b, " * 10_000, b"g: a@b;" * 10_000, b"g: " + b"a@b, " * 10_000):
        items = parse_mailbox_list(value)
        assert HEADER_ADDRESSES // 2 <= len(flat(items)) <= HEADER_ADDRESSES


def test_false_delimiters_end_at_their_limit() -> None:
    raw = (
        MULTIPART
        + b"--b\r\n\r\n"
        + b"--bx\r\n" * (MIME_FALSE_DELIMITERS + 10)
        + b"--b\r\n\r\nlast\r\n--b--\r\n"
    )
    assert len(scan(raw).children) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"\n",
        b"\0" * 100,
        b"Subject: only a header",
        b"Subject: only a header\r\n",
        b"no header at all",
        b"\r\nno header, but a body",
        b": empty name\r\nSubject\r\n : x\r\n\r\n",
        b"From: \xff\xfe <\xe9@\xff>\r\nTo: \0<\0@\0>\r\nSubject: \x80\r\n\0\r\n\r\n\0",
        b"Subject: a\rb\r\nSubject: =?utf-8?b?!!!?= =?x?q?=?= =?utf-8?Q?=ZZ?=\r\n\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n--\r\n\r\nx",
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx',
        b"Content-Type: multipart/mixed; boundary=b",
        MULTIPART,
        MULTIPART + b"--b",
        MULTIPART + b"--b--",
        MULTIPART + b"--b\r\n--b--",
        MULTIPART + b"--b\r\n\r\n--b--",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA",
        b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 100,
        b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n/",
        b"Content-Type: text/html; charset=" + b"x" * 3000 + b"\r\n\r\n<",
        b"Content-Transfer-Encoding: x-made-up\r\n\r\n\xff",
        b"Date: 99999999999999 Foo 99999 99:99:99 +9999\r\n\r\n",
        b"Date: 1 Jan 0000 00:00 +0000\r\n\r\n",
        "Subject: Übergröße\r\nFrom: 邮局 <邮@例え.jp>\r\n\r\n正文".encode(),
        "Subject: 你好\r\n\r\n正文内容在这里写了很多字".encode("gbk"),
    ],
)  # fmt: skip
def test_odd_messages(raw: bytes) -> None:
    everything(raw)


# Each maker gives a message of about n octets that some careless reader needs quadratic time for.
MAKERS: dict[str, Callable[[int], bytes]] = {
    "nested multiparts": lambda n: nested_multiparts(n // 60),
    "delimiters only": lambda n: MULTIPART + b"--b\r\n" * (n // 5),
    "false delimiters": lambda n: MULTIPART + b"--bx\r\n" * (n // 6),
    "dashes": lambda n: MULTIPART + b"\r\n--" * (n // 4),
    "open comments": lambda n: b"From: " + b"(" * n + b"\r\n\r\n",
    "open quotes": lambda n: b"From: " + b'"a\\' * (n // 3) + b"\r\n\r\n",
    "open angles": lambda n: b"To: " + b"<a" * (n // 2) + b"\r\n\r\n",
    "dots": lambda n: b"To: " + b". " * (n // 2) + b"\r\n\r\n",
    "routes": lambda n: b"To: <" + b"@a" * (n // 2) + b"\r\n\r\n",
    "blanks in a name": lambda n: b"To: a" + b" " * n + b"\r\n\r\n",
    "addresses": lambda n: b"To: " + b"a@b, " * (n // 5) + b"\r\n\r\n",
    "groups": lambda n: b"To: " + b"a:b;" * (n // 4) + b"\r\n\r\n",
    "half encoded words": lambda n: b"Subject: " + b"=?a?q?x" * (n // 7) + b"\r\n\r\n",
    "encoded words": lambda n: b"Subject: " + b"=?utf-8?q?x?= " * (n // 14) + b"\r\n\r\n",
    "parameters": lambda n: b"Content-Type: text/plain" + b";a=" * (n // 3) + b"\r\n\r\n",
    "blanks in parameters": lambda n: b"Content-Type: text/plain; a=b" + b" x" * (n // 2) + b"\r\n\r\n",
    "folded lines": lambda n: b"X: " + b"\r\n a" * (n // 4) + b"\r\n\r\n",
    "lines without colon": lambda n: b"abc\r\n" * (n // 5),
    "same field": lambda n: b"To: a@b\r\n" * (n // 9),
    "HTML without end": lambda n: b"Content-Type: text/html\r\n\r\n" + b"<a <!-- <style" * (n // 14),
    "HTML entities": lambda n: b"Content-Type: text/html\r\n\r\n" + b"&amp&#1" * (n // 7),
    "HTML meta": lambda n: b"Content-Type: text/html\r\n\r\n" + b"<meta " * (n // 6),
    "combining marks": lambda n: b"\r\n" + "\u0301\u0316".encode() * (n // 4),
    "quoted-printable": lambda n: b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"= \t" * (n // 3),
    "base64": lambda n: b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=A" * (n // 2),
    "one long word": lambda n: b"\r\n" + b"x" * n,
    "8-bit of no charset": lambda n: b"\r\n" + b"\xb0\x81\x20" * (n // 3),
    "digest": lambda n: b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * (n // 7),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_time_grows_no_faster_than_size(make: Callable[[int], bytes]) -> None:
    """Eight times the octets may take at most twenty-four times as long, and never seconds for 400 KB."""
    small, large = make(50_000), make(400_000)
    few = min(timed(everything, small) for _ in range(3))
    many = min(timed(everything, large) for _ in range(2))
    assert many < 4 * slowness()
    assert many < 24 * max(few, 0.002)


def timed(work: Callable[[bytes], object], raw: bytes) -> float:
    began = time.perf_counter()
    work(raw)
    return time.perf_counter() - began


def test_html_that_never_ends() -> None:
    assert html_text("a<script>alert(1)") == "a"
    assert html_text("a<!-- b") == "a"
    assert html_text("1 < 2 <3") == "1 < 2 <3"


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"--b",
        b"--b--",
        b"--",
        b"b",
        b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: multipart/digest; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"From: a@b\r\n",
        b" ",
        b"\t",
        b'To: "x" <y@z>, g: a;,\r\n',
        b"Content-Disposition: attachment; filename*0*=utf-8''%e4; filename*1=x\r\n",
        b"(",
        b'"',
        b"\0",
        b"\xff",
        b"=?utf-8?q?=c3?=",
        b"Content-Language: a, b\r\n",
        b"text",
        b"Subject: x\r\n y\r\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=40).map(b"".join))
def test_any_octets(raw: bytes) -> None:
    everything(raw)
