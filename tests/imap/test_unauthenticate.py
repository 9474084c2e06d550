"""UNAUTHENTICATE (RFC 8437): nothing of a login is left, also below compression."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path

import msgspec
import pytest

from posthouse import limits
from posthouse.config import Auth
from posthouse.imap.session import Session
from posthouse.store.interface import PutAccount
from tests.house import TestHouse
from tests.imap.conftest import Client, Post
from tests.imap.test_compress import Deflated, deflated, start_tls

LOGIN = b"LOGIN alice@example.test wonderland"
NOBODY = b"] Nobody is logged in\r\n"


async def test_every_slot_of_a_session_is_as_at_first_or_is_not_about_a_login(post: Post) -> None:
    """Whoever gives a session another slot decides here where it belongs."""
    of_the_connection = {
        "_out",
        "_out_size",
        "bad",
        "connection",
        "failed_logins",
        "message",
        "services",
        "tag",
    }
    made: list[Session] = []
    before = Session.forget_login

    def noted(session: Session) -> None:
        before(session)
        made.append(session)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "forget_login", noted)
        client = await post.login()
        await client.command(b"ENABLE IMAP4rev2 QRESYNC UTF8=ACCEPT")
        await client.command(b"SELECT INBOX")
        await client.command(b"NOTIFY SET (personal (MessageNew MessageExpunge))")
        assert (await client.command(b"UNAUTHENTICATE"))[-1].endswith(NOBODY)
    (session,) = made
    fresh = Session(session.services, session.connection)
    different = {slot for slot in Session.__slots__ if getattr(session, slot) != getattr(fresh, slot)}
    assert different <= of_the_connection


async def test_the_login_is_not_among_the_open_ones_any_more(post: Post) -> None:
    client = await post.login()
    opened = len(post.directory.open_logins)
    await client.command(b"UNAUTHENTICATE")
    assert len(post.directory.open_logins) == opened - 1
    # What was somebody's session is not sent away with that somebody.
    await post.store.apply(PutAccount(account=msgspec.structs.replace(post.account, disabled=True)))
    assert (await client.command(b"NOOP"))[-1] == b"t OK NOOP completed\r\n"
    assert (await client.command(LOGIN))[-1].startswith(b"t NO ")


async def test_a_stranger_again_has_a_strangers_time_and_limits(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await post.login()
    monkeypatch.setattr(limits, "IMAP_LOGIN_TIME", 0.1)
    await client.command(b"UNAUTHENTICATE")
    client.send(b"a LOGIN {%d}\r\n" % (limits.IMAP_LITERAL_STRANGER + 1))
    assert (await client.line()).startswith(b"a BAD [TOOBIG]")
    assert await client.line() == b"* BYE Logged out for inactivity\r\n"


async def test_failed_logins_count_on(post: Post) -> None:
    client = await post.connect()
    for _ in range(2):
        client.send(b"a LOGIN alice@example.test wrong\r\n")
        await client.until(b"a ")
    await client.command(LOGIN)
    for _ in range(limits.IMAP_LOGINS - 1):
        await client.command(b"UNAUTHENTICATE")
        client.send(b"a LOGIN alice@example.test wrong\r\n")
        assert (await client.until(b"a "))[-1].startswith(b"a NO ")
    client.send(b"a LOGIN alice@example.test wrong\r\n")
    assert (await client.until(b"* BYE"))[-1] == b"* BYE Too many failed logins\r\n"


@pytest.mark.parametrize(
    ("mailbox", "wish"),
    [
        (b"Archive", b"personal (MessageNew MessageExpunge)"),
        (b"INBOX", b"selected (MessageNew (FLAGS) MessageExpunge)"),
    ],
)
async def test_nothing_is_told_any_more(post: Post, mailbox: bytes, wish: bytes) -> None:
    client = await post.login()
    await client.command(b"SELECT " + mailbox)
    assert (await client.command(b"NOTIFY SET (%b)" % wish))[-1].startswith(b"t OK ")
    await post.fill(b"Subject: x\r\n\r\n")
    assert await client.line()  # it is told at once
    await client.command(b"UNAUTHENTICATE")
    await post.fill(b"Subject: x\r\n\r\n")
    assert await client.command(b"NOOP") == [b"t OK NOOP completed\r\n"]
    await client.command(LOGIN)
    await client.command(b"SELECT Archive")
    await post.fill(b"Subject: x\r\n\r\n")
    assert await client.command(b"NOOP") == [b"t OK NOOP completed\r\n"]


async def test_again_and_again(post: Post) -> None:
    client = await post.login()
    for _ in range(20):
        await client.command(b"SELECT INBOX")
        assert (await client.command(b"UNAUTHENTICATE"))[-1].endswith(NOBODY)
        assert (await client.command(LOGIN))[-1].startswith(b"t OK ")
    assert len(post.directory.open_logins) == 1


async def test_it_is_not_there_unless_it_is_configured(tmp_path: Path) -> None:
    house = await TestHouse.open(tmp_path, auth=Auth())
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("imap"))
    client = Client(reader, writer)
    assert b"UNAUTHENTICATE" not in await client.line()
    assert b"UNAUTHENTICATE" not in (await client.command(LOGIN))[-1]
    assert (await client.command(b"UNAUTHENTICATE"))[-1] == b"t BAD Unknown command\r\n"
    assert (await client.command(b"NOOP"))[-1] == b"t OK NOOP completed\r\n"
    writer.close()
    await house.close()


# --- with COMPRESS (RFC 8437 §4.1) --------------------------------------------------------------------------


async def heard_to_the_end_of_the_stream(client: Deflated) -> bytes:
    """What the server still says compressed; clear text that was read with it goes back to the plain client."""
    inflating = client.inflating
    while not inflating.state.eof:
        assert await inflating.more()
    return inflating.text


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_FINISH])
async def test_both_sides_end_compression(post: Post, flush: int, secure: bool) -> None:
    plain = await post.connect()
    if secure:
        await start_tls(plain)
    for _ in range(3):
        await plain.command(LOGIN)
        client = await deflated(plain)
        client.send(b"a NOOP\r\n")
        assert await client.line() == b"a OK NOOP completed\r\n"
        client.flush = flush
        client.send(b"b UNAUTHENTICATE\r\n")
        assert (await heard_to_the_end_of_the_stream(client)).endswith(NOBODY)
        assert await plain.command(b"NOOP") == [b"t OK NOOP completed\r\n"]


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH])
@pytest.mark.parametrize("before", [b"", b"x NOOP\r\n", b"x APPEND INBOX {16+}\r\ny UNAUTHENTICATE\r\n"])
async def test_clear_text_pipelined_behind_it(post: Post, flush: int, before: bytes) -> None:
    """RFC 8437 §3: the next login may be under way already, in the same packet or in several."""
    clear = b"c " + LOGIN + b"\r\nd STATUS INBOX (MESSAGES)\r\n"
    for at in range(0, 60, 1):
        plain = await post.login()
        client = await deflated(plain)
        if before.endswith(b"UNAUTHENTICATE\r\n"):  # a message that looks like it
            client.send(before[:-18])
            client.send(before[-18:])
            client.send(b"\r\n")
        else:
            client.send(before)
        raw = client.state.compress(b"b UNAUTHENTICATE\r\n") + client.state.flush(flush)
        whole = raw + clear
        plain.writer.write(whole[:at])
        await plain.writer.drain()
        await asyncio.sleep(0.002)
        plain.writer.write(whole[at:])
        text = await heard_to_the_end_of_the_stream(client)
        assert text.endswith(NOBODY)
        rest = client.inflating.state.unused_data
        while b"d OK" not in rest:
            more = await plain.reader.read(1000)
            assert more, rest
            rest += more
        assert b"c OK [CAPABILITY " in rest
        plain.writer.close()


async def test_much_that_is_still_to_be_sent_is_sent_compressed(post: Post) -> None:
    await post.fill(*[b"Subject: %d\r\n\r\n" % i + b"text of the letter\r\n" * 20_000 for i in range(10)])
    plain = await post.login()
    client = await deflated(plain)
    await client.command(b"SELECT INBOX")
    client.send(b"a FETCH 1:* BODY.PEEK[]\r\nb UNAUTHENTICATE\r\n")
    text = await heard_to_the_end_of_the_stream(client)
    assert text.count(b"text of the letter") == 200_000
    assert text.endswith(NOBODY)
    assert await plain.command(b"NOOP") == [b"t OK NOOP completed\r\n"]


async def test_where_clear_text_begins_must_be_known(post: Post) -> None:
    """A partial flush does not end at an octet: what is pipelined behind it cannot be told from it."""
    plain = await post.login()
    client = await deflated(plain)
    raw = client.state.compress(b"b UNAUTHENTICATE\r\n") + client.state.flush(zlib.Z_PARTIAL_FLUSH)
    plain.writer.write(raw + b"c " + LOGIN + b"\r\n")
    lines = await client.until(b"* BYE ")
    assert lines[-1] == b"* BYE What you send is not compressed by DEFLATE\r\n"
