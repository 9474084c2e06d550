"""COMPRESS=DEFLATE (RFC 4978) on real sockets, with a client made of zlib alone, in the clear and under TLS."""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib

import msgspec
import pytest

from posthouse import limits
from posthouse.net import deflate_layer
from posthouse.store.interface import PutAccount
from tests.imap.conftest import MESSAGE_SIZE, Client, Post

MAIL = b"From: alice@example.test\r\nSubject: %b\r\n\r\n%b\r\n"


class Inflating:
    """Reads lines and octets out of a compressed stream."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader
        self.state = zlib.decompressobj(-15)
        self.text = b""
        self.raw = 0
        """Octets that came over the wire."""

    async def more(self) -> bool:
        data = await self.reader.read(2**20)
        self.raw += len(data)
        self.text += self.state.decompress(data)
        return bool(data)

    async def readline(self) -> bytes:
        while b"\n" not in self.text and await self.more():
            pass
        line, newline, self.text = self.text.partition(b"\n")
        return line + newline

    async def readexactly(self, count: int) -> bytes:
        while len(self.text) < count:
            assert await self.more()
        data, self.text = self.text[:count], self.text[count:]
        return data


class Deflated(Client):
    """A client that compresses, behind COMPRESS."""

    def __init__(self, client: Client, flush: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> None:
        self.inflating = Inflating(client.reader)
        super().__init__(self.inflating, client.writer)  # type: ignore[arg-type]
        self.state = zlib.compressobj(level, zlib.DEFLATED, -15)
        self.flush = flush

    def send(self, data: bytes) -> None:
        self.writer.write(self.state.compress(data) + self.state.flush(self.flush))


async def deflated(client: Client, flush: int = zlib.Z_SYNC_FLUSH) -> Deflated:
    assert (await client.command(b"COMPRESS DEFLATE"))[-1] == b"t OK DEFLATE active\r\n"
    return Deflated(client, flush)


async def start_tls(client: Client) -> None:
    assert (await client.command(b"STARTTLS"))[-1].startswith(b"t OK ")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    await client.writer.start_tls(context)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH])
async def test_a_session_from_login_to_logout(post: Post, secure: bool, flush: int) -> None:
    plain = await post.connect()
    if secure:
        await start_tls(plain)
    await plain.command(b"LOGIN alice@example.test wonderland")
    client = await deflated(plain, flush)
    text = MAIL % (b"large", b"".join(b"line %d of a letter\r\n" % i for i in range(50_000)))
    client.send(b"a APPEND INBOX {%d}\r\n" % len(text))
    assert await client.line() == b"+ Ready\r\n"
    client.send(text + b"\r\n")
    assert (await client.until(b"a "))[-1].startswith(b"a OK [APPENDUID ")
    await client.command(b"SELECT INBOX")
    before = client.inflating.raw
    client.send(b"b FETCH 1 BODY.PEEK[]\r\n")
    assert await client.line() == b"* 1 FETCH (BODY[] {%d}\r\n" % len(text)
    assert await client.inflating.readexactly(len(text)) == text
    assert (await client.until(b"b "))[-1] == b"b OK FETCH completed\r\n"
    assert client.inflating.raw - before < len(text) / 4
    client.send(b"c LOGOUT\r\n")
    assert await client.until(b"c ") == [b"* BYE Logging out\r\n", b"c OK LOGOUT completed\r\n"]
    assert await client.line() == b""


async def test_what_is_pipelined_behind_the_command_is_compressed_already(post: Post) -> None:
    plain = await post.login()
    client = Deflated(plain)
    plain.writer.write(b"a COMPRESS DEFLATE\r\n")
    client.send(b"b NOOP\r\nc NOOP\r\n")
    assert await plain.line() == b"a OK DEFLATE active\r\n"
    assert await client.line() == b"b OK NOOP completed\r\n"
    assert await client.line() == b"c OK NOOP completed\r\n"


async def test_what_comes_octet_by_octet(post: Post) -> None:
    client = await deflated(await post.login())
    for octet in client.state.compress(b"a NOOP\r\n") + client.state.flush(zlib.Z_SYNC_FLUSH):
        client.writer.write(bytes((octet,)))
        await client.writer.drain()
        await asyncio.sleep(0.001)
    assert await client.line() == b"a OK NOOP completed\r\n"


async def test_an_idle_client_is_told_also_after_both_sides_rested(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deflate_layer, "DEFLATE_REST", 0.05)
    client = await deflated(await post.login())
    await client.command(b"SELECT INBOX")
    client.send(b"i IDLE\r\n")
    assert await client.line() == b"+ idling\r\n"
    for n in range(1, 4):
        await asyncio.sleep(0.3)  # what is waited for is that nothing happens
        await post.fill(MAIL % (b"new", b"text"))
        assert (await client.until(b"* %d EXISTS" % n))[-1] == b"* %d EXISTS\r\n" % n
    client.send(b"DONE\r\n")
    assert await client.line() == b"i OK IDLE completed\r\n"


async def test_a_line_that_inflates_over_the_limit_is_refused_before_it_is_inflated_further(
    post: Post,
) -> None:
    client = await deflated(await post.login())
    client.send(b"a " + b"x" * 30_000_000 + b"\r\nb NOOP\r\n")
    assert await client.line() == b"* BAD [TOOBIG] The line is too long\r\n"
    assert await client.line() == b"b OK NOOP completed\r\n"


async def test_a_literal_that_would_inflate_is_refused_by_its_size(post: Post) -> None:
    client = await deflated(await post.login())
    size = limits.IMAP_LITERAL + 1
    client.send(b"a SELECT {%d+}\r\n" % size + b"x" * size + b"\r\nb NOOP\r\n")
    assert await client.line() == b"a BAD [TOOBIG] The command is too long\r\n"
    assert await client.line() == b"b OK NOOP completed\r\n"
    client.send(b"c APPEND INBOX {%d+}\r\n" % (MESSAGE_SIZE * 2) + b"\0" * (MESSAGE_SIZE * 2) + b"\r\n")
    assert await client.line() == b"c NO [TOOBIG] The message is too large\r\n"
    client.send(b"d APPEND INBOX {%d+}\r\n" % (limits.IMAP_SKIP + 1))
    assert await client.line() == b"* BYE [TOOBIG] The literal is too long\r\n"
    assert await client.line() == b""


async def test_nonsense_in_place_of_the_compressed_stream_ends_the_connection(post: Post) -> None:
    client = await deflated(await post.login())
    client.send(b"a NOOP\r\n")
    assert await client.line() == b"a OK NOOP completed\r\n"
    client.writer.write(b"b NOOP\r\n")
    assert await client.line() == b"* BYE What you send is not compressed by DEFLATE\r\n"
    assert await client.line() == b""


async def test_fuzz_no_octets_are_an_internal_fault(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    for seed in range(40):
        client = await deflated(await post.login())
        good = client.state.compress(b"a NOOP\r\nb CAPABILITY\r\n" * 5) + client.state.flush(
            zlib.Z_SYNC_FLUSH
        )
        at = seed % len(good)
        client.writer.write(good[:at] + os.urandom(seed * 7) + good[at:])
        client.writer.write_eof()
        while await client.line():
            pass
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("idling", [False, True])
async def test_shutting_down_is_told(post: Post, idling: bool) -> None:
    client = await deflated(await post.login())
    if idling:
        client.send(b"i IDLE\r\n")
        await client.line()
    await post.listener.stop(5)
    assert await client.line() == b"* BYE [UNAVAILABLE] The server is shutting down\r\n"
    assert await client.line() == b""


async def test_autologout(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAP_AUTOLOGOUT", 0.1)
    client = await deflated(await post.login())
    assert await client.line() == b"* BYE Logged out for inactivity\r\n"
    assert await client.line() == b""


async def test_who_is_sent_away_is_told(post: Post) -> None:
    client = await deflated(await post.login())
    await post.store.apply(PutAccount(account=msgspec.structs.replace(post.account, disabled=True)))
    assert await client.line() == b"* BYE The login is not good any more\r\n"


async def test_it_is_refused_twice_and_what_follows_is_still_compressed(post: Post) -> None:
    client = await deflated(await post.login())
    assert await client.command(b"COMPRESS DEFLATE") == [
        b"t BAD [COMPRESSIONACTIVE] DEFLATE is active already\r\n"
    ]
    assert await client.command(b"NOOP") == [b"t OK NOOP completed\r\n"]


async def test_who_does_not_compress_has_no_layer(post: Post) -> None:
    client = await post.login()
    assert await client.command(b"COMPRESS LZMA") == [b"t BAD Only DEFLATE is known\r\n"]
    assert await client.command(b"NOOP") == [b"t OK NOOP completed\r\n"]
