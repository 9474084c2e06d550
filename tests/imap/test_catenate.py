"""CATENATE (RFC 4469) over sockets: pieces are copied as FETCH gives them, and nothing is left of what is refused."""

from __future__ import annotations

import asyncio
import imaplib
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from posthouse import limits
from posthouse.store.interface import PutAccount
from tests.house import TestHouse
from tests.imap.conftest import MESSAGE_SIZE, Client, Post
from tests.imap.shared import ALICE, BOB, THERE, shared_club

MIXED = (
    b'Subject: parts\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\nbefore\r\n--b\r\n\r\none\r\n'
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nTo: x@example.test\r\n\r\ninside\r\n\r\n--b\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--\r\nafter\r\n"
)
SECTIONS = (
    *("", "HEADER", "TEXT", "1", "1.MIME", "2", "2.MIME", "2.HEADER", "2.TEXT", "2.1", "3", "3.MIME"),
    *("HEADER.FIELDS (Subject)", "2.HEADER.FIELDS.NOT (TO)"),
)


async def opened(post: Post, *raws: bytes) -> Client:
    await post.fill(*raws)
    client = await post.login()
    await client.command(b"SELECT INBOX")
    return client


async def body(client: Client, number: bytes, section: bytes = b"") -> bytes:
    """A section, as FETCH gives it."""
    client.send(b"f FETCH %b BODY.PEEK[%b]\r\n" % (number, section))
    line = await client.line()
    while b" FETCH (" not in line:
        line = await client.line()
    if b"{" not in line:
        found = line.partition(b'"')[2].rpartition(b'"')[0] if b'"' in line else b""
    else:
        size = int(line.rpartition(b"{")[2].partition(b"}")[0])
        found = await asyncio.wait_for(client.reader.readexactly(size), 10)
    await client.until(b"f ")
    return found


async def said(client: Client, text: bytes) -> bytes:
    return (await client.command(text))[-1].removesuffix(b"\r\n")


async def total(client: Client) -> int:
    (line, _) = await client.command(b"STATUS INBOX (MESSAGES)")
    return int(line.split()[-1].rstrip(b")"))


def part(section: str, more: str = "") -> bytes:
    named = section.replace(" ", "%20")
    return f'URL "/INBOX/;UID=1{"/;SECTION=" + named if named else ""}{more}"'.encode()


async def test_a_piece_is_what_fetch_gives(post: Post) -> None:
    client = await opened(post, MIXED)
    for number, section in enumerate(SECTIONS, 2):
        assert (await said(client, b"APPEND INBOX CATENATE (%b)" % part(section))).startswith(b"t OK ["), (
            section
        )
        assert await body(client, b"%d" % number) == await body(client, b"1", section.encode()), section
    for more, cut in (("/;PARTIAL=3", b"[]<3.99999>"), ("/;PARTIAL=2.7", b"[]<2.7>")):
        answer = await said(client, b"APPEND INBOX CATENATE (%b)" % part("", more))
        assert answer.startswith(b"t OK ["), more
        whole = MIXED[3:] if cut == b"[]<3.99999>" else MIXED[2:9]
        assert await body(client, b"*") == whole
    # It does not set \Seen (RFC 4469 §3).
    assert (await client.command(b"SEARCH SEEN"))[0] == b"* SEARCH\r\n"


async def test_pieces_of_every_size_in_every_order(post: Post) -> None:
    chance = random.Random(4469)
    large = b"Subject: large\r\n\r\n" + bytes(chance.choices(b"abc\r\n", k=700_000)) + b"\r\n"
    client = await opened(post, MIXED, large)
    for _ in range(25):
        wanted, sent = b"", b"APPEND INBOX CATENATE ("
        for place in range(chance.randint(1, 6)):
            sent += b" " if place else b""
            kind = chance.choice(("text", "url", "url literal", "large", "partial"))
            if kind == "text":
                text = bytes(chance.choices(b"xyz)\r\n{}", k=chance.choice((0, 1, 50, 300_000))))
                wanted += text
                sent += b"TEXT {%d+}\r\n%b" % (len(text), text)
            elif kind == "url":
                wanted += MIXED
                sent += b"URL /INBOX/;UID=1"
            elif kind == "url literal":
                url = b";UID=1/;SECTION=HEADER.FIELDS%20(Subject)"
                wanted += b"Subject: parts\r\n\r\n"
                sent += b"URL {%d+}\r\n%b" % (len(url), url)
            elif kind == "large":
                wanted += large
                sent += b'URL "/INBOX/;UID=2"'
            else:
                first, length = chance.randrange(len(large)), chance.randint(1, 400_000)
                wanted += large[first : first + length]
                sent += b'URL ";UID=2/;PARTIAL=%d.%d"' % (first, length)
        answer = await said(client, sent + b")")
        if not wanted:
            assert answer == b"t NO An empty message cannot be stored"
        else:
            assert answer.startswith(b"t OK [APPENDUID "), answer
            assert await body(client, b"*") == wanted


async def test_what_cannot_be_had_is_a_bad_url(post: Post) -> None:
    client = await opened(post, MIXED)
    for url in (
        *(b"/INBOX/;UID=2", b"/Nowhere/;UID=1", b"/INBOX;UIDVALIDITY=1/;UID=1", b"/INBOX/;UID=1/;SECTION=9"),
        *(
            b"imap://elsewhere.test/INBOX/;UID=1",
            b"/INBOX/;UID=1/;SECTION=3.HEADER",
            b"http://x/y",
            b"/INBOX",
            b"x]y",
        ),
    ):
        shown = url.replace(b"]", b"%5D")
        assert (await said(client, b'APPEND INBOX CATENATE (URL "%b")' % url)).startswith(
            b"t NO [BADURL %b] " % shown
        )
        # The octets that follow are read past.
        client.send(b't APPEND INBOX CATENATE (TEXT {1+}\r\nx URL "%b" TEXT {10+}\r\nu LOGOUT\r\n)\r\n' % url)
        assert (await client.line()).startswith(b"t NO [BADURL %b] " % shown)
        client.send(b't APPEND INBOX CATENATE (URL "%b" TEXT {9}\r\n' % url)
        assert (await client.line()).startswith(b"t NO [BADURL %b] " % shown), (
            "before the literal is asked for"
        )
    strange = await said(client, b"APPEND INBOX CATENATE (URL {6+}\r\n\r\nx\xffy )")
    assert strange.startswith(b"t NO [BADURL %0D%0Ax%FFy%20] ")
    assert await total(client) == 1


@pytest.mark.parametrize(
    "text",
    [
        *(b"CATENATE ()", b"CATENATE", b"CATENATE (URL)", b'CATENATE (URL "/x"', b'CATENATE (URL "/x" )'),
        *(b"CATENATE (TEXT {1+}\r\nx", b"CATENATE (TEXT x)", b"CATENATE (TEXT {1+}\r\nxURL /x)"),
        *(b"CATENATE (NONE {1+}\r\nx)", b"CATENATE (TEXT {1+}\r\nx)x", b'CATENATE (TEXT "x")'),
        *(
            b"CATENATE (UTF8 (~{1+}\r\nx)",
            b"{1+}\r\nx CATENATE",
            b"CATENATE (TEXT {1+}\r\nx) CATENATE (TEXT {1+}\r\nx",
        ),
    ],
)
async def test_what_is_no_catenation(post: Post, text: bytes) -> None:
    client = await opened(post, MIXED)
    assert (await said(client, b"APPEND INBOX " + text)).startswith(b"t BAD ")
    assert await said(client, b"NOOP") == b"t OK NOOP completed"
    assert await total(client) == 1


async def test_utf8_pieces(post: Post) -> None:
    client = await opened(post, MIXED)
    text = b'APPEND INBOX CATENATE (UTF8 (~{4+}\r\n\xc3\xa9\r\n) URL ";UID=1/;SECTION=2.TEXT")'
    assert await said(client, text) == b"t BAD UTF8 is not enabled"
    await client.command(b"ENABLE UTF8=ACCEPT")
    assert (await said(client, text)).startswith(b"t OK [APPENDUID ")
    assert await body(client, b"2") == b"\xc3\xa9\r\ninside\r\n"


async def test_too_large_together(post: Post) -> None:
    half = b"\r\n" + b"x" * (MESSAGE_SIZE // 2)
    client = await opened(post, half)
    assert (await said(client, b'APPEND INBOX CATENATE (URL ";UID=1" URL ";UID=1")')).startswith(
        b"t NO [TOOBIG] "
    )
    client.send(b't APPEND INBOX CATENATE (URL ";UID=1" TEXT {%d}\r\n' % (MESSAGE_SIZE // 2 - 1))
    assert (await client.line()).startswith(b"t NO [TOOBIG] "), "before it is sent"
    assert (await said(client, b'APPEND INBOX CATENATE (URL ";UID=1" TEXT {2+}\r\nxx)')).startswith(b"t OK ")
    nul = await said(client, b"APPEND INBOX CATENATE (TEXT {1+}\r\nx TEXT ~{1+}\r\n\0)")
    assert nul.startswith(b"t NO [UNKNOWN-CTE] ")


async def test_the_quota_counts_what_is_copied(post: Post) -> None:
    client = await opened(post, b"\r\n" + b"x" * 1000)
    await post.store.apply(PutAccount(account=msgspec.structs.replace(post.account, quota=2500)))
    post.directory.forget()
    client = await post.login()
    assert (await said(client, b'APPEND INBOX CATENATE (URL "/INBOX/;UID=1")')).startswith(b"t OK ")
    assert (await said(client, b'APPEND INBOX CATENATE (URL "/INBOX/;UID=1")')).startswith(
        b"t NO [OVERQUOTA] "
    )


async def test_pieces_and_copied_octets_are_counted(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await opened(post, MIXED, b"\r\n" + b"x" * (MESSAGE_SIZE - 2))
    monkeypatch.setattr(limits, "IMAP_CATENATE_PIECES", 3)
    one = b"CATENATE (URL /INBOX/;UID=1 TEXT {1+}\r\nx)"
    for times, refused in ((1, False), (2, True)):
        answer = await said(client, b"APPEND INBOX " + b" ".join([one] * times))
        assert answer.startswith(b"t NO [LIMIT] Too many pieces" if refused else b"t OK "), answer
    monkeypatch.setattr(limits, "IMAP_CATENATE_OCTETS", 100)
    whole = b"CATENATE (URL /INBOX/;UID=2)"  # one of the largest size may always be copied
    assert (await said(client, b"APPEND INBOX " + whole)).startswith(b"t OK ")
    assert (await said(client, b"APPEND INBOX %b %b" % (whole, whole))).startswith(b"t NO [LIMIT] Too much")
    monkeypatch.setattr(limits, "IMAP_URL", 5)
    client.send(b"t APPEND INBOX CATENATE (URL {6}\r\n")
    assert await client.line() == b"t NO [TOOBIG] The URL is too long\r\n"
    monkeypatch.setattr(limits, "IMAP_APPEND_MESSAGES", 2)
    assert (await said(client, b"APPEND INBOX " + b" ".join([b"CATENATE (URL /INBOX/;UID=1)"] * 3)))[
        :5
    ] == b"t NO "


async def test_large_ones_are_staged_and_leave_nothing(
    post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STAGE_MEMORY", 1000)
    monkeypatch.setattr(limits, "IMAP_APPEND_MEMORY", 1000)
    client = await opened(post, b"\r\n" + b"x" * 500_000)
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    answer = await said(client, b'APPEND INBOX CATENATE (URL ";UID=1" URL ";UID=9")')
    assert answer.startswith(b"t NO [BADURL ;UID=9] ")
    # Who leaves in the middle leaves nothing either.
    client.send(b't APPEND INBOX CATENATE (URL ";UID=1" TEXT {400000+}\r\n' + b"y" * 200_000)
    await client.writer.drain()
    client.writer.close()
    async with asyncio.timeout(10):
        while {path for path in tmp_path.rglob("*") if path.is_file()} - files:
            await asyncio.sleep(0.05)
    assert await total(await post.login()) == 1


# --- others' mailboxes --------------------------------------------------------------------------------------------


async def test_from_a_mailbox_that_another_shares(people: Any) -> None:
    alice, bob = await shared_club(people)
    url = f"/Other%20Users/{ALICE}/Club/;UID=1"
    await bob.ok(f'APPEND INBOX CATENATE (URL "{url}")')
    await bob.ok(f'SELECT "{THERE}/Club"')
    await bob.ok('APPEND INBOX CATENATE (URL ";UID=2")')
    assert await bob.ok("STATUS INBOX (MESSAGES)") == ["* STATUS INBOX (MESSAGES 2)"]
    # What is not shared, and what is shared no more, is as if it were not there.
    assert (await bob.no(f'APPEND INBOX CATENATE (URL "/Other%20Users/{ALICE}/INBOX/;UID=1")')).startswith(
        "BADURL "
    )
    await alice.ok(f"DELETEACL Club {BOB}")
    assert (await bob.no('APPEND INBOX CATENATE (URL ";UID=2")')).startswith("BADURL ")
    assert (await bob.no(f'APPEND INBOX CATENATE (URL "{url}")')).startswith("BADURL ")
    assert (await bob.no(f'APPEND INBOX CATENATE (URL "imap://{ALICE}@mx.example.test/Club/;UID=1")'))[
        :7
    ] == "BADURL "


async def test_into_a_mailbox_that_another_shares(people: Any) -> None:
    alice, bob = await shared_club(people, "lri")
    await people.house.fill(BOB, 1)
    await bob.ok(f'APPEND "{THERE}/Club" CATENATE (URL "/INBOX/;UID=1" TEXT {{3+}}\r\nend)')
    assert await alice.ok("STATUS Club (MESSAGES)") == ["* STATUS Club (MESSAGES 4)"]


async def test_a_url_may_call_the_house_by_every_name_of_its(tmp_path: Path) -> None:
    house = await TestHouse.open(tmp_path, public_name="Mail.Example.test")
    await house.fill("alice@example.test", 1)

    def talk() -> list[str]:
        with imaplib.IMAP4("127.0.0.1", house.port("imap")) as client:
            client.login("alice@example.test", "wonderland")
            url = 'APPEND INBOX CATENATE (URL "imap://%s/INBOX/;UID=1")'
            hosts = ("mail.example.test", "mx.example.test", "other.example.test")
            return [client.xatom(url % host)[0] for host in hosts]

    try:
        assert await asyncio.to_thread(talk) == ["OK", "OK", "NO"]
    finally:
        await house.close()
