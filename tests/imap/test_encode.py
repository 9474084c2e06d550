"""Values on the wire: the shortest safe form of each."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse import limits
from posthouse.imap import encode

LONG = b"x" * (limits.IMAP_QUOTED + 1)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (encode.string(b"plain text"), b'"plain text"'),
        (encode.string(b""), b'""'),
        (encode.string(rb'a"b\c'), rb'"a\"b\\c"'),
        (encode.string(b"two\r\nlines"), b"{10}\r\ntwo\r\nlines"),
        (encode.string(b"nul\0"), b"~{4}\r\nnul\0"),
        (encode.string("é".encode()), "{2}\r\né".encode()),
        (encode.string("é".encode(), utf8=True), '"é"'.encode()),
        (encode.string(b"\xff", utf8=True), b"{1}\r\n\xff"),
        (encode.string(LONG[:-1]), b'"%b"' % LONG[:-1]),
        (encode.string(LONG), b"{%d}\r\n%b" % (len(LONG), LONG)),
        (encode.nstring(None), b"NIL"),
        (encode.nstring(b"NIL"), b'"NIL"'),
        (encode.astring(b"INBOX"), b"INBOX"),
        (encode.astring(b"nil"), b'"nil"'),
        (encode.astring(b"a]"), b'"a]"'),
        (encode.astring(b"a b"), b'"a b"'),
        (encode.flag_list(["\\Seen", "$Junk"]), b"(\\Seen $Junk)"),
        (encode.flag_list([]), b"()"),
        (encode.parenthesized([b"a", b"(b)"]), b"(a (b))"),
        (encode.date_time(760686745), b'" 8-Feb-1994 05:52:25 +0000"'),
        (encode.text("naïve\r\nline"), b"na?ve?line"),
        (encode.text(""), b"."),
        (encode.mailbox("Entwürfe", utf8=False), b"Entw&APw-rfe"),
        (encode.mailbox("Entwürfe", utf8=True), '"Entwürfe"'.encode()),
        (encode.mailbox("Two words", utf8=False), b'"Two words"'),
    ],
)
def test_forms(written: Any, wanted: bytes) -> None:
    assert written == wanted
