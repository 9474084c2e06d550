"""IMAP URLs of messages and parts (RFC 5092): what is taken, and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.imap.fetch_args import Partial, Text
from posthouse.imap.url import BadUrl, MessageUrl, Server, parse_message_url

NAMES = frozenset({"mx.north.test", "mail.north.test"})
HERE = Server(NAMES, "alice@north.test", "Work/Old & new")
NOWHERE = Server(NAMES, "alice@north.test", "")


def read(text: str, server: Server = HERE) -> MessageUrl:
    return parse_message_url(text.encode(), server)


@pytest.mark.parametrize(
    ("text", "mailbox", "validity", "uid"),
    [
        ("/Drafts;UIDVALIDITY=385759045/;UID=20", "Drafts", 385759045, 20),
        ("/Drafts/;uid=20", "Drafts", None, 20),
        ("/inbox/;UID=4294967295", "INBOX", None, 4294967295),
        ("/A/B/C/;UID=1", "A/B/C", None, 1),
        ("/caf%C3%A9%20%26%2Fx/;UID=1", "caf\u00e9 &/x", None, 1),
        ("/cafe%CC%81/;UID=1", "caf\u00e9", None, 1),
        ("/a;UIDVALIDITY=1/;UID=1", "a", 1, 1),
        (";UID=7", "Work/Old & new", None, 7),
        ("Other/;UID=7", "Work/Other", None, 7),
        ("imap://mx.north.test/INBOX/;UID=3", "INBOX", None, 3),
        ("IMAP://alice%40north.test;AUTH=*@MX.North.Test:143/INBOX;UIDVALIDITY=9/;UID=3", "INBOX", 9, 3),
        ("//mx.north.test/INBOX/;UID=3", "INBOX", None, 3),
        ("imap://Mail.North.test./INBOX/;UID=3", "INBOX", None, 3),
    ],
)
def test_messages(text: str, mailbox: str, validity: int | None, uid: int) -> None:
    found = read(text)
    assert (found.mailbox, found.uid_validity, found.uid) == (mailbox, validity, uid)
    assert (found.section.part, found.section.text, found.section.partial) == ((), Text.CONTENT, None)


def test_sections() -> None:
    found = read("/x/;UID=1/;SECTION=1.2.HEADER.FIELDS%20(Date%20subject)/;PARTIAL=5.10").section
    assert (found.part, found.text, found.fields) == ((1, 2), Text.FIELDS, (b"date", b"subject"))
    assert found.partial == Partial(5, 10)
    assert read("/x/;UID=1/;section=3.MIME").section.text is Text.MIME
    assert read("/x/;UID=1/;PARTIAL=7").section.partial == Partial(7, 2**63 - 1)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "/",
            "/;UID=7",
            "/INBOX",
            "/INBOX/",
            "/INBOX;UID=1",
            "INBOX",
            "/INBOX/;UID=0",
            "/INBOX/;UID=1;",
            "/x/;UID=1/",
        ),
        *("/INBOX/;UID=4294967296", "/INBOX;UIDVALIDITY=4294967296/;UID=1", "/INBOX;UIDVALIDITY=0/;UID=1"),
        *("/a b/;UID=1", "/a%2/;UID=1", "/a%zz/;UID=1", '/a"/;UID=1', "/a?SUBJECT%20x", "/a/;UID=1#x"),
        *("/a/;UID=1/;SECTION=", "/a/;UID=1/;SECTION=1]%3C0.5%3E", "/a/;UID=1/;SECTION=1%5D%3C0.5%3E"),
        *(
            "/a/;UID=1/;SECTION=MIME",
            "/a/;UID=1/;SECTION=x",
            "/a/;UID=1/;PARTIAL=0.0",
            "/a/;UID=1/;PARTIAL=-1",
        ),
        *("/a/;UID=1/;PARTIAL=0.1/;SECTION=1", "/a/;UID=1/;SECTION=1/;SECTION=2", "/a/;UID=1;URLAUTH=user+x"),
        *(
            "imap://other.test/INBOX/;UID=1",
            "imap://bob@mx.north.test/INBOX/;UID=1",
            "http://mx.north.test/x/;UID=1",
        ),
        *("imap://mx.north.test:993/INBOX/;UID=1", "imap://mx.north.test/;UID=1", "imap:///INBOX/;UID=1"),
        *("imaps://mx.north.test/INBOX/;UID=1", "/caf\u00e9/;UID=1", "//;UID=1", "/a/;UID=1\r\n"),
    ],
)
def test_what_is_not_taken(text: str) -> None:
    with pytest.raises(BadUrl):
        read(text)


def test_without_a_selected_mailbox_nothing_is_relative_to_it() -> None:
    for text in (";UID=7", "/;UID=7"):
        with pytest.raises(BadUrl):
            read(text, NOWHERE)
    assert read("Other/;UID=7", NOWHERE).mailbox == "Other"


@given(st.text(st.sampled_from('/;UID=1%2F.aSECTION:@[]<>"\\'), max_size=60))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except BadUrl:
        pass


def test_long_ones_take_no_longer() -> None:
    for text in ("/" * 4000, "/a" * 2000 + "/;UID=1/;SECTION=" + "1." * 1500, "%41" * 1300, "a/;" * 1300):
        with pytest.raises(BadUrl):
            read(text)
