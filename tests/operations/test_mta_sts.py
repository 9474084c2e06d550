"""`domain check` reads the MTA-STS policy over HTTPS as other hosts do, and says what is wrong with it."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from posthouse.operations import mta_sts_check
from posthouse.operations.findings import Level
from posthouse.operations.mta_sts_check import PolicyReader, check_policy
from tests.fakes.resolver import FakeResolver

ZONE = "mta-sts.north.test. A 127.0.0.1\nmta-sts.other.test. A 127.0.0.1\n"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.north.test\r\nmax_age: 604800\r\n"
HOSTS = ("mx.north.test",)


class Site:
    """An HTTPS server with one answer to everything."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.names = ["mta-sts.north.test"]
        self.answer = plain(POLICY)
        self.asked = b""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PolicyReader]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*self.names).configure_cert(context)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        async with server:
            yield PolicyReader(
                FakeResolver(ZONE),
                port=server.sockets[0].getsockname()[1],
                context=self._believed,
                allowed="127.0.0.1".__eq__,
            )

    def _believed(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


def plain(body: str, *, kind: str = "text/plain; charset=utf-8", status: str = "200 OK") -> bytes:
    octets = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(octets)}\r\nConnection: close\r\n"
    )
    return f"{head}Location: https://elsewhere.test/\r\n\r\n".encode() + octets


async def test_a_good_policy_is_fine() -> None:
    site = Site()
    async with site.open() as reader:
        found = await check_policy("north.test", HOSTS, reader.read)
    assert found.level is Level.FINE, found
    assert site.asked.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
    assert b"host: mta-sts.north.test\r\n" in site.asked.lower()


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        (plain(POLICY, kind="text/html"), Level.WRONG, "not text/plain"),
        (plain(POLICY, status="301 Moved"), Level.WRONG, "answers 301"),
        (plain("", status="404 Not Found"), Level.WRONG, "answers 404"),
        (plain("hello"), Level.WRONG, "no policy: it does not say version"),
        (plain("x" * 70_000), Level.WRONG, "more than 65536 octets"),
        (plain(POLICY.replace("mx.north.test", "old.north.test")), Level.WRONG, "mx.north.test is not in it"),
        (plain(POLICY.replace("enforce", "testing")), Level.LOOK, "protects nothing: testing"),
        (plain(POLICY.replace("604800", "60")), Level.LOOK, "forgotten too soon"),
        (b"nonsense\r\n\r\n", Level.WRONG, "mta-sts.north.test: "),
        (b"", Level.WRONG, "mta-sts.north.test: "),
    ],
)
async def test_what_is_wrong_is_said(answer: bytes, level: Level, words: str) -> None:
    site = Site()
    site.answer = answer
    async with site.open() as reader:
        found = await check_policy("north.test", HOSTS, reader.read)
    assert (found.level, words in found.text) == (level, True), found
    assert found.fix


async def test_what_comes_packed_is_not_unpacked() -> None:
    """A few kilobytes in two layers of gzip are gigabytes."""
    site = Site()
    bomb = gzip.compress(gzip.compress(bytes(30_000_000)))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(bomb)}\r\n"
    site.answer = f"{head}Content-Encoding: gzip, gzip\r\n\r\n".encode() + bomb
    tracemalloc.start()
    async with site.open() as reader:
        found = await check_policy("north.test", HOSTS, reader.read)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.level, "no policy" in found.text) == (Level.WRONG, True), found
    assert most < 10_000_000
    assert b"accept-encoding: identity\r\n" in site.asked.lower()


async def test_a_site_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mta_sts_check, "MTA_STS_TIME", 0.3)

    class Dripping(Site):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(plain(POLICY)[:80])
            try:
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            except ConnectionError:
                writer.close()

    async with Dripping().open() as reader, asyncio.timeout(3):
        found = await check_policy("north.test", HOSTS, reader.read)
    assert "did not answer within 0.3 seconds" in found.text


async def test_the_certificate_must_be_good_for_the_name() -> None:
    site = Site()
    site.names = ["www.north.test"]
    async with site.open() as reader:
        found = await check_policy("north.test", HOSTS, reader.read)
        assert found.level is Level.WRONG and "mta-sts.north.test" in found.text
        found = await check_policy("other.test", HOSTS, reader.read)
        assert found.level is Level.WRONG
    async with site.open() as reader:
        unknown = PolicyReader(FakeResolver(ZONE), port=reader._port, allowed="127.0.0.1".__eq__)
        found = await check_policy("north.test", HOSTS, unknown.read)
        assert found.level is Level.WRONG, "signed by nobody that the system believes"
    assert site.asked == b"", "nothing was asked over a connection that proved nothing"


async def test_a_name_that_leads_nowhere() -> None:
    found = await check_policy("south.test", HOSTS, PolicyReader(FakeResolver(ZONE)).read)
    assert found.level is Level.WRONG and "has no address" in found.text


@pytest.mark.parametrize(
    "records",
    [
        ["A 127.0.0.1"],
        ["A 127.0.0.1", "A 93.184.216.34"],
        ["AAAA ::1"],
        ["AAAA ::ffff:127.0.0.1"],
    ],
)
async def test_a_name_that_leads_into_the_house_is_not_asked(records: list[str]) -> None:
    """A stranger's domain may point anywhere; one such address is enough."""
    site = Site()
    async with site.open() as reader:
        zone = "".join(f"mta-sts.north.test. {record}\n" for record in records)
        outside = PolicyReader(FakeResolver(zone), port=reader._port, context=site._believed)
        found = await check_policy("north.test", HOSTS, outside.read)
    assert (found.level, "is not on the internet" in found.text) == (Level.WRONG, True), found
    assert site.asked == b""
