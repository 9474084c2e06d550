"""Names on the wire: modified UTF-7 and UTF-8, what is canonical, what may be made."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse import limits
from posthouse.imap import encode, mailbox_name
from posthouse.imap.grammar import Reader
from posthouse.imap.mailbox_name import BadName, check_new, decode
from posthouse.store import model

PAIRS = [
    # RFC 3501 §5.1.3 has the first
    ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("Entwürfe", b"Entw&APw-rfe"),
    ("A&B", b"A&-B"),
    ("&", b"&-"),
    ("\U0001f600", b"&2D3eAA-"),
    ("已发送", b"&XfJT0ZAB-"),
    ("Sent", b"Sent"),
]


def test_levels_are_parted_as_in_the_store() -> None:
    assert mailbox_name.SEPARATOR == model.SEPARATOR


@pytest.mark.parametrize(("name", "raw"), PAIRS)
def test_modified_utf7_both_ways(name: str, raw: bytes) -> None:
    assert mailbox_name.encode(name, utf8=False) == raw
    assert decode(raw, utf8=False) == name


@pytest.mark.parametrize("raw", [b"&AGE", b"&!-", b"&2D0-", b"&A-", b"a&&b-"])
def test_what_is_no_modified_utf7_is_kept(raw: bytes) -> None:
    assert decode(raw, utf8=False) == raw.decode()


def test_names_are_canonical() -> None:
    assert decode("e\u0301".encode(), utf8=True) == "é"
    assert decode(b"inbox", utf8=False) == "INBOX"
    assert decode(b"Inbox/a", utf8=False) == "INBOX/a"
    assert decode(b"inboxes", utf8=False) == "inboxes"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a//b",
        "/",
        "a*",
        "a%",
        "a\tb",
        "a\x7f",
        "a\u2028b",
        "\ufffd",
        "x" * (limits.MAILBOX_NAME + 1),
        "/".join("a" * (limits.MAILBOX_LEVELS + 1)),
    ],
)
def test_unfit_names_are_not_made(name: str) -> None:
    with pytest.raises(BadName):
        check_new(name)


def test_fit_names() -> None:
    assert check_new("a/b/") == "a/b"
    assert check_new("x" * limits.MAILBOX_NAME)
    assert check_new("/".join("a" * limits.MAILBOX_LEVELS))
    assert check_new("R&D (alt) #1") == "R&D (alt) #1"


@given(name=st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1), utf8=st.booleans())
def test_a_name_comes_back_as_it_went(name: str, utf8: bool) -> None:
    name = mailbox_name.canonical(unicodedata.normalize("NFC", name))
    assert decode(mailbox_name.encode(name, utf8=utf8), utf8=utf8) == name
    assert Reader(encode.mailbox(name, utf8=utf8), utf8=utf8).mailbox() == name
    assert utf8 or encode.mailbox(name, utf8=False).isascii()
