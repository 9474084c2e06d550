"""Sessions over real sockets: real clients, any chunking, faults at every step, limits and ends."""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramClient

from posthouse import limits
from posthouse.accounts.passwords import make_scram
from posthouse.errors import StoreUnavailable
from posthouse.net.connection import Connection
from posthouse.smtp import reception
from posthouse.smtp.extensions import Role
from posthouse.smtp.server import SmtpServer
from posthouse.store.interface import PutAccount
from tests.inbound.small_house import Client, SmallHouse

TEXT = b"From: eve@elsewhere.test\r\nSubject: hi\r\n\r\ntext\r\n"
ENVELOPE = ("EHLO me", "MAIL FROM:<eve@elsewhere.test>", "RCPT TO:<alice@example.test>")


async def ready(port: int, *lines: str) -> Client:
    """A client that has heard the greeting and said some lines."""
    client = await Client.connect(port)
    assert (await client.reply()).startswith("220")
    await client.say(*lines)
    return client


def unsafe() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# --- other people's clients ---------------------------------------------------------------------------


async def test_smtplib_delivers(house):
    port = await house.listen()

    def send() -> dict:
        with smtplib.SMTP("127.0.0.1", port) as smtp:
            return smtp.sendmail(
                "eve@elsewhere.test",
                ["alice@example.test", "nobody@example.test"],
                TEXT,
                mail_options=["BODY=8BITMIME"],
            )

    refused = await asyncio.to_thread(send)
    assert {address: reply[0] for address, reply in refused.items()} == {"nobody@example.test": 550}
    assert (await house.inbox("alice"))[0].endswith(TEXT)


@pytest.mark.parametrize("tls", [False, True], ids=["587 with STARTTLS", "465"])
async def test_smtplib_submits_with_login(house, tls):
    port = await house.listen(Role.SUBMISSION, tls=tls, starttls=True)

    def send() -> bytes:
        kind = smtplib.SMTP_SSL if tls else smtplib.SMTP
        with kind("127.0.0.1", port, **({"context": unsafe()} if tls else {})) as smtp:
            if not tls:
                smtp.starttls(context=unsafe())
            smtp.login("alice@example.test", "wonderland")
            smtp.sendmail(
                "alice@example.test", ["bob@example.test"], b"From: alice@example.test\r\n\r\nx\r\n"
            )
            return smtp.ehlo()[1]

    offered = await asyncio.to_thread(send)
    assert b"STARTTLS" not in offered
    assert b"AUTH" not in offered
    [message] = await house.inbox("bob")
    assert b"with ESMTPSA" in message
    assert b"TLSv1.3" in message


async def test_passwords_are_offered_in_clear_only_by_policy(house):
    open_port = await house.listen(Role.SUBMISSION, starttls=True)
    closed_port = await house.listen(Role.SUBMISSION, plaintext_policy="never")
    offer = await (await ready(open_port)).say("EHLO me")
    assert re.search(r"AUTH (.*)", offer)[1] == "SCRAM-SHA-256 PLAIN LOGIN"
    client = await ready(closed_port)
    offer = await client.say("EHLO me")
    assert re.search(r"AUTH (.*)", offer)[1] == "SCRAM-SHA-256"
    assert (await client.say("AUTH PLAIN AGEAYg==")).startswith("538 5.7.11")


async def test_wrong_passwords_leave_the_session(house):
    client = await ready(await house.listen(Role.SUBMISSION), "EHLO me")
    assert (await client.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB4")).startswith("535 5.7.8")
    assert (await client.say("NOOP")).startswith("250")


async def test_a_time_to_deliver_by_is_queued(house):
    port = await house.listen(Role.SUBMISSION)
    client = await ready(port, "EHLO me", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3b25kZXJsYW5k")
    await client.say("MAIL FROM:<alice@example.test> BY=120;RT", "RCPT TO:<x@faraway.test>", "DATA")
    assert (await client.send(b"From: alice@example.test\r\n\r\nx\r\n.\r\n")).startswith("250")
    [queued] = await house.real_store.queue()
    assert (queued.deliver_by, queued.by_mode) == (queued.created_at + 120, "RT")


# --- any chunking gives the same ----------------------------------------------------------------------

SESSION = (
    b"EHLO me\r\n"
    b"MAIL FROM:<eve@elsewhere.test> SIZE=100\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<x@other.test>\r\n"
    b"DATA\r\nFrom: eve@elsewhere.test\r\n\r\n..\r\n...dots.\r\n.\r\n"
    b"XYZZY\r\n"
    b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nBDAT 30\r\nFrom: eve@elsewhere.test\r\n\r\n.\r"
    b"BDAT 3 LAST\r\n\n.\n"
    b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nBDAT 28\r\nFrom: eve@elsewhere.test\r\n\r\n"
    b"BDAT 5 LAST\r\n.\r\nQ\r"
    b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nFrom: eve@elsewhere.test\r\n\r\nbare\n.\r\n.\r\n"
    b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nBDAT 29 LAST\r\nFrom: eve@elsewhere.test\r\n\r\n."
    b"NOOP\r\nQUIT\r\n"
)


async def play(house: SmallHouse, port: int, pieces: list[bytes]) -> tuple[bytes, list[bytes]]:
    """The replies to a session, and what it stored."""
    before = {name: len(await house.inbox(name)) for name in ("alice", "bob")}
    client = await Client.connect(port)
    await client.reply()
    for piece in pieces:
        client.writer.write(piece)
        await client.writer.drain()
        await asyncio.sleep(0)
    replies = re.sub(rb"id [0-9a-f]+", b"id", await client.rest())
    client.close()
    stored = [message for name, count in before.items() for message in (await house.inbox(name))[count:]]
    return replies, [message[message.index(b"From:") :] for message in stored]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def served(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SmallHouse, int]]:
    folder: Path = tmp_path_factory.mktemp("chunks")
    house = runner.run(SmallHouse.open(folder))
    yield house, runner.run(house.listen())
    runner.run(house.close())


def test_the_whole_session_in_one_piece(runner, served):
    replies, stored = runner.run(play(*served, [SESSION]))
    codes = [line[:9] for line in replies.split(b"\r\n") if line[3:4] == b" "][1:]
    assert b" ".join(code[:3] for code in codes) == (
        b"250 250 550 354 250 500 250 250 250 550 250 250 250 550 250 250 354 550 250 250 250 250 221"
    )
    assert stored[0] == b"From: eve@elsewhere.test\r\n\r\n.\r\n..dots.\r\n"
    assert len(stored) == 2


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, len(SESSION) - 1), max_size=40))
def test_any_chunking_gives_the_same_replies_and_messages(runner, served, cuts):
    places = [0, *sorted(set(cuts)), len(SESSION)]
    pieces = [SESSION[a:b] for a, b in pairwise(places)]
    assert runner.run(play(*served, pieces)) == runner.run(play(*served, [SESSION]))


@pytest.mark.slow
def test_octet_by_octet_gives_the_same(runner, served):
    pieces = [SESSION[n : n + 1] for n in range(len(SESSION))]
    assert runner.run(play(*served, pieces)) == runner.run(play(*served, [SESSION]))


async def test_a_pipelined_group_is_answered_with_one_write(house, monkeypatch):
    writes: list[bytes] = []
    write = Connection.write
    monkeypatch.setattr(Connection, "write", lambda self, data: (writes.append(data), write(self, data))[1])
    client = await ready(await house.listen(), "EHLO me")
    writes.clear()
    group = b"MAIL FROM:<eve@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
    assert (await client.send(group)).startswith("250 2.1.0")
    assert [write.count(b"\r\n") for write in writes] == [3]


async def test_a_long_group_is_answered_in_parts(house):
    client = await ready(await house.listen(recipients=1000), "EHLO me", "MAIL FROM:<eve@elsewhere.test>")
    count = limits.SMTP_GROUP * 3
    client.writer.write(b"".join(b"RCPT TO:<alice+%d@example.test>\r\n" % n for n in range(count)))
    assert {(await client.reply())[:9] for _ in range(count)} == {"250 2.1.5"}


async def test_a_fault_of_the_session_itself_is_told_before_the_end(house, monkeypatch):
    monkeypatch.setattr("posthouse.smtp.server_core.ServerCore.receive_line", lambda *_: 1 / 0)
    client = await ready(await house.listen())
    client.writer.write(b"NOOP\r\n")
    assert (await client.rest()).startswith(b"421 4.3.0 ")


# --- faults -------------------------------------------------------------------------------------------

STEPS = [
    # what breaks,   MAIL,     RCPT,   end of text
    ("domains", "451 4.3.0", None, None),
    ("account", "250 2.1.0", "451 4.3.0", None),
    ("mailbox", "250 2.1.0", "250 2.1.5", "451 4.3.0"),
    ("commit", "250 2.1.0", "250 2.1.5", "451 4.3.0"),
]


@pytest.mark.parametrize("row", STEPS, ids=lambda row: row[0])
async def test_a_fault_at_any_step_defers_and_the_session_goes_on(house, row):
    step, *expected = row
    client = await ready(await house.listen(), "EHLO me")
    house.break_at(step)
    lines = ["MAIL FROM:<eve@elsewhere.test>", "RCPT TO:<alice@example.test>"]
    for line, code in zip(lines, expected, strict=False):
        if code is not None:
            assert (await client.say(line)).startswith(code)
    if expected[2] is not None:
        assert (await client.say("DATA")).startswith("354")
        reply = await client.send(TEXT + b".\r\n")
        assert reply.startswith(expected[2])
        assert re.search(r"\(fault [0-9a-f]{8}\)", reply)
    house.mend()
    assert await house.inbox("alice") == []
    await client.say("RSET", *lines, "DATA")
    assert (await client.send(TEXT + b".\r\n")).startswith("250")
    assert len(await house.inbox("alice")) == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [(StoreUnavailable("disk full"), "452 4.3.1"), (RuntimeError("bug"), "451 4.3.0")],
    ids=["disk full", "bug"],
)
async def test_staging_that_fails_refuses_after_the_text(house, fault, code):
    house.budget.total = 10  # so that everything is staged
    client = await ready(await house.listen(), *ENVELOPE, "DATA")
    house.break_at("stage", fault)
    assert (await client.send(TEXT + b".\r\n")).startswith(code)
    house.mend()
    await client.say(*ENVELOPE, "DATA")
    assert (await client.send(TEXT + b".\r\n")).startswith("250")


async def test_a_fault_in_a_login_is_temporary(house):
    client = await ready(await house.listen(Role.SUBMISSION), "EHLO me")
    house.break_at("account", StoreUnavailable("away"))
    assert (await client.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB4")).startswith("454 4.7.0")
    house.mend()
    assert (await client.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3b25kZXJsYW5k")).startswith("235")


# --- sizes and memory ---------------------------------------------------------------------------------


async def test_a_message_over_the_limit_is_refused_at_its_end(house):
    client = await ready(await house.listen(size=1000), *ENVELOPE, "DATA")
    assert (await client.send(b"x" * 2000 + b"\r\n.\r\n")).startswith("552 5.3.4")
    await client.say(*ENVELOPE, "DATA")
    assert (await client.send(TEXT + b".\r\n")).startswith("250")
    assert house.budget.used == 0


async def test_a_message_far_over_the_limit_ends_the_connection(house, monkeypatch):
    monkeypatch.setattr("posthouse.smtp.incoming.SMTP_DRAIN", 10_000)
    client = await ready(await house.listen(size=1000), *ENVELOPE, "DATA")
    client.writer.write(b"x" * 100_000)
    assert (await client.rest()).startswith(b"552 5.3.4")
    assert house.budget.used == 0


async def test_a_long_message_is_staged_and_comes_out_whole(house, monkeypatch):
    monkeypatch.setattr(limits, "STAGE_MEMORY", 50_000)
    monkeypatch.setattr(reception.Reception.__init__, "__defaults__", (20_000,))
    text = TEXT + b"".join(b"line %d with some words\r\n" % n for n in range(10_000))
    client = await ready(await house.listen(), *ENVELOPE, "DATA")
    assert (await client.send(text + b".\r\n")).startswith("250")
    assert (await house.inbox("alice"))[0].endswith(text)
    assert house.budget.used == 0


async def test_when_memory_is_short_messages_are_staged(house):
    house.budget.total = 10
    client = await ready(await house.listen(), *ENVELOPE, "DATA")
    assert (await client.send(TEXT + b".\r\n")).startswith("250")
    assert (await house.inbox("alice"))[0].endswith(TEXT)


async def test_a_peer_that_dies_in_the_text_leaves_nothing(house):
    port = await house.listen()
    client = await ready(port, *ENVELOPE, "DATA")
    client.writer.write(TEXT)
    await client.writer.drain()
    while not house.budget.used:
        await asyncio.sleep(0.001)
    client.writer.transport.abort()
    while house.budget.used:
        await asyncio.sleep(0.001)
    assert await house.inbox("alice") == []
    await ready(port, "NOOP")


async def test_a_chunked_message_that_is_abandoned_gives_its_memory_back(house):
    client = await ready(await house.listen(), *ENVELOPE)
    assert (await client.send(b"BDAT 5\r\nabcde")).startswith("250")
    assert house.budget.used == 5
    await client.say("RSET", "MAIL FROM:<eve@elsewhere.test>")
    assert house.budget.used == 0


# --- beginnings and ends ------------------------------------------------------------------------------


async def test_who_talks_before_the_greeting_is_refused(house, monkeypatch):
    serve = SmtpServer.serve

    async def late(self: SmtpServer, connection: Connection) -> None:
        while not connection.buffered:
            await asyncio.sleep(0.001)
        await serve(self, connection)

    monkeypatch.setattr(SmtpServer, "serve", late)
    client = await Client.connect(await house.listen())
    client.writer.write(b"EHLO me\r\n")
    assert (await client.rest()).startswith(b"554 5.5.1")


async def test_a_silent_peer_is_told_and_left(house, monkeypatch):
    monkeypatch.setattr(limits, "SMTP_IDLE", 0.01)
    client = await Client.connect(await house.listen())
    assert b"\r\n421 4.4.2 " in await client.rest()


async def test_a_stop_is_told(house):
    client = await ready(await house.listen(), "EHLO me")
    await house.listeners[0].stop(grace=1)
    assert (await client.rest()).startswith(b"421 4.3.2 ")


async def test_a_message_under_way_is_finished_when_we_stop(house):
    client = await ready(await house.listen(), *ENVELOPE)
    client.writer.write(b"DATA\r\n" + TEXT + b".\r\n")
    assert (await client.reply()).startswith("354")
    await house.listeners[0].stop(grace=1)
    heard = await client.rest()
    stored = len(await house.inbox("alice"))
    assert (b"250 2.0.0" in heard) == (stored == 1)


async def test_starttls_forgets_who_was_logged_in(house):
    port = await house.listen(Role.SUBMISSION, starttls=True)
    client = await ready(port, "EHLO me", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3b25kZXJsYW5k")
    assert (await client.say("STARTTLS")).startswith("220")
    await client.writer.start_tls(unsafe())
    assert (await client.say("EHLO me", "MAIL FROM:<alice@example.test>")).startswith("530")


async def test_a_broken_handshake_ends_the_connection(house):
    client = await ready(await house.listen(starttls=True), "EHLO me", "STARTTLS")
    client.writer.write(b"this is no handshake\r\n")
    assert b"250" not in await client.rest()


# --- waiting has an end -------------------------------------------------------------------------------


async def test_a_command_line_over_the_limit_is_refused_and_the_next_one_read(house):
    client = await ready(await house.listen(), "EHLO me")
    assert (await client.say("NOOP " + "x" * (limits.SMTP_COMMAND_LINE - 7))).startswith("250")
    assert await client.say("NOOP " + "x" * (limits.SMTP_COMMAND_LINE - 6)) == "500 5.5.2 Line too long"
    assert (await client.say("NOOP")).startswith("250")


async def test_a_login_response_over_the_limit_ends_the_exchange(house):
    client = await ready(await house.listen(Role.SUBMISSION), "EHLO me", "AUTH PLAIN")
    assert await client.say("A" * (limits.SMTP_AUTH_LINE - 1)) == "500 5.5.6 Line too long"
    assert (await client.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3b25kZXJsYW5k")).startswith("235")


async def test_a_text_that_takes_too_long_is_given_up(house, monkeypatch):
    monkeypatch.setattr(limits, "SMTP_DATA_TOTAL", 0.01)
    client = await ready(await house.listen(), *ENVELOPE, "DATA")
    client.writer.write(TEXT)
    assert (await client.rest()).startswith(b"421 4.4.2 ")
    assert house.budget.used == 0
    assert await house.inbox("alice") == []


async def test_a_login_that_takes_too_long_is_given_up(house, monkeypatch):
    monkeypatch.setattr(limits, "SMTP_LOGIN_TOTAL", 0.01)
    client = await ready(await house.listen(Role.SUBMISSION), "EHLO me")
    assert (await client.say("AUTH LOGIN")).startswith("334")
    assert (await client.rest()).startswith(b"421 4.4.2 ")


async def test_time_limits_of_one_step_do_not_reach_the_next(house, monkeypatch):
    monkeypatch.setattr(limits, "SMTP_DATA_TOTAL", 0.05)
    client = await ready(await house.listen(), *ENVELOPE, "DATA")
    assert (await client.send(TEXT + b".\r\n")).startswith("250")
    loop = asyncio.get_running_loop()
    later: asyncio.Future[None] = loop.create_future()
    loop.call_later(0.2, later.set_result, None)  # past the limit of the text and a turn of the timer wheel
    await later
    assert (await client.say("NOOP")).startswith("250")


# --- SCRAM --------------------------------------------------------------------------------------------


async def test_scram_logs_in_without_showing_the_password(house):
    keys = msgspec.structs.replace(house.accounts["alice"], scram=make_scram("wonderland"))
    await house.real_store.apply(PutAccount(account=keys))
    client = await ready(await house.listen(Role.SUBMISSION), "EHLO me")
    scram = ScramClient(["SCRAM-SHA-256"], "alice@example.test", "wonderland")
    first = b64encode(scram.get_client_first().encode()).decode()
    challenge = await client.say(f"AUTH SCRAM-SHA-256 {first}")
    scram.set_server_first(b64decode(challenge.split()[1]).decode())
    final = await client.say(b64encode(scram.get_client_final().encode()).decode())
    scram.set_server_final(b64decode(final.split()[1]).decode())
    assert (await client.say("")).startswith("235 2.7.0")
    assert (await client.say("MAIL FROM:<alice@example.test>")).startswith("250")
