"""The POP3 server over real sockets and a real store."""

from __future__ import annotations

import asyncio
import base64
import poplib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from scramp import ScramClient

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.net.connection import Connection, ConnectionClosed
from posthouse.pop3 import server
from posthouse.store.interface import Op
from posthouse.store.model import SEEN, Stored
from tests.pop3.conftest import ALICE, PASSWORD, Post

DOTTY = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n"


async def in_thread(port: int, talk: Callable[[poplib.POP3], Any]) -> Any:
    """Let the standard library's client talk, logged in as alice."""

    def run() -> Any:
        client = poplib.POP3("127.0.0.1", port, timeout=5)
        client.user(ALICE)
        client.pass_(PASSWORD)
        try:
            return talk(client)
        finally:
            client.close()

    return await asyncio.to_thread(run)


async def closed(client: Connection) -> bytes:
    """All that still comes until the server closes."""
    heard = b""
    try:
        while True:
            heard += await asyncio.wait_for(client.read_some(10_000), 5)
    except ConnectionClosed:
        return heard


async def test_the_standard_library_reads_every_octet(post: Post):
    large = b"Subject: large\r\n\r\n" + b".".join([b"x" * 70 + b"\r\n"] * 15_000)
    await post.fill(DOTTY, b"no end of line", large)
    port = await post.open()

    def talk(client: poplib.POP3) -> list[bytes]:
        return [b"\r\n".join(client.retr(number)[1]) + b"\r\n" for number in (1, 2, 3)]

    assert await in_thread(port, talk) == [DOTTY, b"no end of line\r\n", large]


async def test_top_of_a_large_message(post: Post):
    await post.fill(b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 15_000)
    port = await post.open()
    some = await in_thread(port, lambda client: client.top(1, 2)[1])
    assert some == [b"Subject: large", b"", b"x" * 70, b"y" * 70]
    assert len(await in_thread(port, lambda client: client.top(1, 14_000)[1])) == 14_002


async def test_a_large_message_is_sent_in_pieces(post: Post, monkeypatch: pytest.MonkeyPatch):
    in_pieces: list[int] = []
    chunks = post.store.chunks

    def noted(stored: Stored) -> AsyncIterator[bytes]:
        in_pieces.append(stored.size)
        return chunks(stored)

    monkeypatch.setattr(post.store, "chunks", noted)
    small, large = (b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * lines for lines in (3_000, 4_000))
    await post.fill(small, large)
    port = await post.open()
    lengths = await in_thread(port, lambda client: [len(client.retr(number)[1]) for number in (1, 2)])
    assert lengths == [3_002, 4_002]
    assert in_pieces == [len(large)]


async def test_unique_ids_stay_over_sessions_and_are_never_given_again(post: Post):
    await post.fill(DOTTY, DOTTY)
    port = await post.open()
    first = await in_thread(port, lambda client: client.uidl()[1])

    def remove_last(client: poplib.POP3) -> None:
        client.dele(2)
        client.quit()

    await in_thread(port, remove_last)
    await post.fill(DOTTY)
    second = await in_thread(port, lambda client: client.uidl()[1])
    assert second[0] == first[0]
    assert second[1].split()[1] not in {line.split()[1] for line in first}


async def test_reading_changes_nothing(post: Post):
    await post.fill(DOTTY)
    port = await post.open()
    await in_thread(port, lambda client: (client.retr(1), client.top(1, 1), client.quit()))
    inbox = await post.inbox()
    assert len(inbox) == 1
    assert inbox.flags[0] & SEEN == 0


async def test_a_lost_connection_deletes_nothing_and_frees_the_maildrop(post: Post):
    await post.fill(DOTTY, DOTTY)
    port = await post.open()
    first = await post.login(port)
    assert (await post.ask(first, b"DELE 1")).startswith(b"+OK")
    first.abort()
    for _ in range(100):
        second = await post.connect(port)
        await post.ask(second, b"USER " + ALICE.encode())
        answer = await post.ask(second, b"PASS " + PASSWORD.encode())
        if answer.startswith(b"+OK"):
            break
        assert b"[IN-USE]" in answer
    assert await post.ask(second, b"STAT") == b"+OK 2 %d" % (2 * len(DOTTY))


async def test_the_lock_holds_over_all_servers_of_a_house(post: Post):
    first = await post.login(await post.open())
    second = await post.connect(await post.open())
    await post.ask(second, b"USER " + ALICE.encode())
    assert b"[IN-USE]" in await post.ask(second, b"PASS " + PASSWORD.encode())
    assert (await post.ask(first, b"QUIT")).startswith(b"+OK")
    await post.ask(second, b"USER " + ALICE.encode())
    assert (await post.ask(second, b"PASS " + PASSWORD.encode())).startswith(b"+OK")


async def test_mail_that_comes_or_goes_meanwhile_changes_no_number(post: Post):
    await post.fill(b"A: 1\r\n\r\n", b"A: 2\r\n\r\n", b"A: 3\r\n\r\n")
    client = await post.login(await post.open())
    await post.expunge(1)
    await post.fill(b"A: 4\r\n\r\n")
    assert await post.ask(client, b"STAT") == b"+OK 3 24"
    assert await post.ask(client, b"RETR 4") == b"-ERR There is no message 4"
    assert await post.ask(client, b"RETR 3") == b"+OK 8 octets"
    assert [await client.read_line(100) for _ in range(3)] == [b"A: 3", b"", b"."]
    await post.ask(client, b"DELE 1")
    await post.ask(client, b"DELE 2")
    assert (await post.ask(client, b"QUIT")).startswith(b"+OK")
    assert list((await post.inbox()).uids) == [3, 4]


async def test_a_message_whose_octets_are_gone_is_told_so(post: Post, monkeypatch: pytest.MonkeyPatch):
    await post.fill(DOTTY)
    client = await post.login(await post.open())

    async def gone(*_: object) -> list[None]:
        return [None]

    monkeypatch.setattr(post.store, "stored", gone)
    assert await post.ask(client, b"RETR 1") == b"-ERR Message 1 was removed by another program"
    assert await post.ask(client, b"TOP 1 0") == b"-ERR Message 1 was removed by another program"


async def test_when_the_store_fails_at_quit_nothing_is_said_to_be_removed(
    post: Post, monkeypatch: pytest.MonkeyPatch
):
    await post.fill(DOTTY)
    client = await post.login(await post.open())
    await post.ask(client, b"DELE 1")

    async def full(op: Op[Any]) -> None:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(post.store, "apply", full)
    assert await post.ask(client, b"QUIT") == b"-ERR [SYS/TEMP] The deleted messages were not removed"
    assert await closed(client) == b""
    assert len(await post.inbox()) == 1
    assert await post.locks.acquire(post.account.account_id, "another")


@pytest.mark.parametrize("fault", [StoreUnavailable("The disk is away."), RuntimeError("broken on purpose")])
async def test_a_fault_in_mid_message_cuts_the_connection(
    post: Post, monkeypatch: pytest.MonkeyPatch, fault: Exception
):
    await post.fill(b"A: 1\r\n\r\n" + b"x" * 400_000)
    client = await post.login(await post.open())

    async def breaking(stored: object) -> Any:
        yield b"A: 1\r\n\r\n" + b"x" * 1000
        raise fault

    monkeypatch.setattr(post.store, "chunks", breaking)
    assert (await post.ask(client, b"RETR 1")).startswith(b"+OK")
    heard = await closed(client)
    assert not heard.endswith(b"\r\n.\r\n")
    assert b"-ERR" not in heard


async def test_a_fault_of_ours_is_told_with_its_number_and_logged(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    await post.fill(DOTTY)
    client = await post.login(await post.open())

    async def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(post.store, "stored", broken)
    answer = await post.ask(client, b"RETR 1")
    assert answer.startswith(b"-ERR [SYS/TEMP] Internal fault ")
    assert answer.split()[-1].decode() in caplog.text
    assert (await post.ask(client, b"STAT")).startswith(b"+OK 1")


@pytest.mark.parametrize("policy", ["never", "loopback", "always"])
async def test_passwords_in_clear_text_only_as_the_policy_says(post: Post, policy: str, tls: ssl.SSLContext):
    client = await post.connect(await post.open(plaintext=policy, tls=tls))
    allowed = policy != "never"  # we are on loopback
    assert (await post.ask(client, b"CAPA")).startswith(b"+OK")
    lines = []
    while (line := await client.read_line(512)) != b".":
        lines.append(line)
    assert (b"USER" in lines) is allowed
    assert b"STLS" in lines
    mechanisms = next(line for line in lines if line.startswith(b"SASL")).split()
    assert (b"PLAIN" in mechanisms) is allowed
    answer = await post.ask(client, b"USER " + ALICE.encode())
    assert answer.startswith(b"+OK") is allowed
    if not allowed:
        assert answer == b"-ERR [SYS/PERM] Start TLS with STLS first"
        assert await post.ask(client, b"AUTH PLAIN") == b"-ERR [SYS/PERM] Start TLS with STLS first"


async def test_tls_by_the_standard_library(post: Post, tls: ssl.SSLContext):
    await post.fill(DOTTY)
    port = await post.open(tls=tls, plaintext="never")
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE

    def talk() -> int:
        client = poplib.POP3("127.0.0.1", port, timeout=5)
        client.stls(trusting)
        client.user(ALICE)
        client.pass_(PASSWORD)
        octets = len(b"\r\n".join(client.retr(1)[1])) + 2
        client.quit()
        return octets

    assert await asyncio.to_thread(talk) == len(DOTTY)


async def test_without_a_certificate_tls_is_not_offered(post: Post):
    client = await post.connect(await post.open())
    assert await post.ask(client, b"STLS") == b"-ERR TLS is not offered"


async def test_scram(post: Post):
    client = await post.connect(await post.open(plaintext="never"))
    scram = ScramClient(["SCRAM-SHA-256"], ALICE, PASSWORD)

    def coded(text: str) -> bytes:
        return base64.b64encode(text.encode())

    def plain(line: bytes) -> str:
        assert line.startswith(b"+ ")
        return base64.b64decode(line[2:]).decode()

    first = await post.ask(client, b"AUTH SCRAM-SHA-256 " + coded(scram.get_client_first()))
    scram.set_server_first(plain(first))
    scram.set_server_final(plain(await post.ask(client, coded(scram.get_client_final()))))
    assert await post.ask(client, b"") == b"+OK 0 messages (0 octets)"


async def test_a_login_response_that_is_too_long(post: Post):
    client = await post.connect(await post.open())
    assert (await post.ask(client, b"AUTH PLAIN")).startswith(b"+ ")
    assert await post.ask(client, b"A" * limits.POP3_AUTH_LINE) == b"-ERR The response is not valid"
    assert (await post.ask(client, b"CAPA")).startswith(b"+OK")


async def test_utf8_headers_are_ascii_unless_asked_for(post: Post):
    raw = "Subject: Grüße\r\n\r\nGrüße\r\n".encode()
    await post.fill(raw)
    port = await post.open()

    def retrieve(utf8: bool) -> bytes:
        client = poplib.POP3("127.0.0.1", port, timeout=5)
        if utf8:
            client.utf8()
        client.user(ALICE)
        client.pass_(PASSWORD)
        answer, lines, _ = client.retr(1)
        text = b"\r\n".join(lines) + b"\r\n"
        assert answer == b"+OK %d octets" % len(text)
        assert client.top(1, 0)[1][0] == lines[0]
        client.quit()
        return text

    assert await asyncio.to_thread(retrieve, True) == raw
    plain = await asyncio.to_thread(retrieve, False)
    assert plain.startswith(b"Subject: =?utf-8?B?")
    assert plain.endswith("\r\n\r\nGrüße\r\n".encode())


async def test_a_silent_session_ends_without_a_word(post: Post, monkeypatch: pytest.MonkeyPatch):
    await post.fill(DOTTY)
    monkeypatch.setattr(limits, "POP3_AUTOLOGOUT", 0.05)
    client = await post.login(await post.open())
    await post.ask(client, b"DELE 1")
    assert await closed(client) == b""
    assert len(await post.inbox()) == 1


async def test_who_does_not_log_in_is_sent_away(post: Post, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "POP3_LOGIN_TIME", 0.05)
    client = await post.connect(await post.open())
    assert await closed(client) == b""


async def test_a_stopping_server_says_so_and_removes_nothing(post: Post):
    await post.fill(DOTTY)
    client = await post.login(await post.open())
    await post.ask(client, b"DELE 1")
    await post.listeners[0].stop(1)
    assert await closed(client) == b"-ERR [SYS/TEMP] The server is shutting down\r\n"
    assert len(await post.inbox()) == 1


async def test_a_flood_of_pipelined_commands_lets_others_have_their_turn(
    post: Post, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "POP3_TURN", 8)
    client = await post.login(await post.open())
    answered, in_a_row = 0, []
    noop = server.HANDLERS["NOOP"]

    async def counted(session, command):
        nonlocal answered
        answered += 1
        await noop(session, command)

    monkeypatch.setattr(server, "HANDLERS", {**server.HANDLERS, "NOOP": counted})
    client.write(b"NOOP\r\n" * 500)
    async with asyncio.timeout(5):
        while answered < 500:  # the loop's turns, in which others are served
            before = answered
            await asyncio.sleep(0)
            in_a_row.append(answered - before)
    assert 1 < max(in_a_row) <= 8 + 1
    for _ in range(500):
        assert await client.read_line(100) == b"+OK Nothing done"


async def test_a_client_that_does_not_read_holds_little_memory(post: Post):
    await post.fill(b"A: 1\r\n\r\n" + (b"x" * 70 + b"\r\n") * 10_000)
    client = await post.login(await post.open())
    client.write(b"RETR 1\r\n" * 60)
    for _ in range(300):
        await asyncio.sleep(0)
    (connection,) = post.listeners[0]._connections
    waiting = connection._transport.get_write_buffer_size()
    assert waiting < limits.WRITE_HIGH_WATER + 3 * limits.BLOB_CHUNK
    client.abort()


def test_the_busy_line_is_a_pop3_reply():
    assert server.BUSY == b"-ERR [SYS/TEMP] Too many connections, try again later\r\n"


async def test_whole_listings_of_a_large_maildrop(post: Post):
    inbox = await post.inbox()
    await post.fill(*([b"A: 1\r\n\r\n"] * 2000))
    client = await post.login(await post.open())
    assert await post.ask(client, b"LIST") == b"+OK 2000 messages follow"
    assert [await client.read_line(100) for _ in range(2001)] == [
        *(b"%d 8" % number for number in range(1, 2001)),
        b".",
    ]
    assert await post.ask(client, b"UIDL") == b"+OK 2000 messages follow"
    lines = [await client.read_line(100) for _ in range(2001)]
    assert lines[1999] == b"2000 %d.2000" % inbox.uid_validity


async def test_nonsense_in_a_row_ends_the_connection(post: Post):
    client = await post.connect(await post.open())
    for _ in range(limits.POP3_BAD - 1):
        assert (await post.ask(client, b"NONSENSE")).startswith(b"-ERR")
    assert (await post.ask(client, b"CAPA")).startswith(b"+OK")
    while await client.read_line(512) != b".":
        pass
    for _ in range(limits.POP3_BAD):
        assert (await post.ask(client, b"NONSENSE")).startswith(b"-ERR")
    assert await client.read_line(512) == b"-ERR Too many errors"
    with pytest.raises(ConnectionClosed):
        await client.read_line(512)


async def test_failed_logins_end_the_connection(post: Post):
    client = await post.connect(await post.open())
    for _ in range(limits.POP3_LOGINS):
        assert (await post.ask(client, b"USER " + ALICE.encode())).startswith(b"+OK")
        assert (await post.ask(client, b"PASS wrong")).startswith(b"-ERR [AUTH]")
    assert await client.read_line(512) == b"-ERR Too many errors"
    with pytest.raises(ConnectionClosed):
        await client.read_line(512)


async def test_a_line_over_the_limit_is_refused_and_the_next_one_read(post: Post):
    client = await post.login(await post.open())
    spaces = limits.POP3_LINE - len("NOOP\r\n")
    assert b"too long" not in await post.ask(client, b"NOOP" + b" " * spaces)
    assert await post.ask(client, b"NOOP" + b" " * (spaces + 1)) == b"-ERR The command line is too long"
    assert (await post.ask(client, b"NOOP")).startswith(b"+OK")
