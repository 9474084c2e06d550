"""Compressed connections over real sockets, on both event loops, in the clear and under TLS."""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib
from pathlib import Path

import pytest

from posthouse.errors import LocalProtocolError
from posthouse.limits import DEFLATE_STEP, READ_HIGH_WATER, WRITE_HIGH_WATER
from posthouse.net import deflate_layer, wire
from posthouse.net.certificates import Pair
from posthouse.net.connection import BadlyCompressed, Connection, ConnectionClosed, LineTooLong
from posthouse.net.tls import server_context
from tests.net.conftest import House


async def echo(connection: Connection) -> None:
    await connection.read_line(1000)
    connection.write(b"OK\r\n")
    connection.start_deflate()
    while True:
        line = await connection.read_line(1000)
        connection.write(b"> " + line + b"\r\n")
        await connection.drain()


async def agreed(house: House, serve: object = echo, **options: object) -> Connection:
    """A client behind the agreement, not yet compressing."""
    client = await house.pair(serve, **options)  # type: ignore[arg-type]
    client.write(b"compress\r\n")
    assert await client.read_line(100) == b"OK"
    return client


def bomb(size: int, octet: bytes = b"x", end: bytes = b"\r\n") -> bytes:
    """What inflates to a line of `size` octets."""
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    return made.compress(octet * size + end) + made.flush(zlib.Z_SYNC_FLUSH)


async def test_lines_go_both_ways(house: House):
    client = await agreed(house)
    client.start_deflate()
    for text in (b"one", b"two", b"two"):
        client.write(text + b"\r\n")
        assert await client.read_line(100) == b"> " + text
    assert client.deflated
    assert house.sessions[0].deflated


async def test_under_tls_it_is_compressed_before_it_is_encrypted(
    house: House, pair_files: tuple[Path, Path, Pair]
):
    certificate, key, _ = pair_files
    trust = ssl.create_default_context(cadata=pair_files[2].authority.decode())
    listener = await house.listen(echo, tls=server_context(certificate, key))
    host, _, port = listener.bound[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trust, server_hostname="mx.test")
    writer.write(b"compress\r\n")
    assert await reader.readline() == b"OK\r\n"
    out, back = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    writer.write(out.compress(b"one\r\ntwo\r\n") + out.flush(zlib.Z_SYNC_FLUSH))
    heard = b""
    while heard != b"> one\r\n> two\r\n":
        heard += back.decompress(await reader.read(1000))
    writer.close()
    await house.until_ended()


async def test_octets_directly_behind_the_request_are_compressed(house: House):
    client = await house.pair(echo)
    deflated = zlib.compressobj(6, zlib.DEFLATED, -15)
    client.write(b"compress\r\n" + deflated.compress(b"one\r\n") + deflated.flush(zlib.Z_SYNC_FLUSH))
    assert await client.read_line(100) == b"OK"
    client.start_deflate()
    assert await client.read_line(100) == b"> one"


async def test_octet_by_octet(house: House):
    client = await agreed(house)
    deflated = zlib.compressobj(6, zlib.DEFLATED, -15)
    for octet in deflated.compress(b"one\r\n" * 20) + deflated.flush(zlib.Z_SYNC_FLUSH):
        client.write(bytes((octet,)))
        await asyncio.sleep(0.001)
    client.start_deflate()
    for _ in range(20):
        assert await client.read_line(100) == b"> one"


async def test_a_bomb_holds_no_more_memory_than_a_plain_sender(house: House):
    go = asyncio.Event()
    sizes: list[int] = []

    async def serve(connection: Connection) -> None:
        await connection.read_line(1000)
        connection.write(b"OK\r\n")
        connection.start_deflate()
        await go.wait()
        sizes.append(connection.buffered)
        for _ in range(2):  # a line is too long as soon as its limit is passed, and the rest is passed over
            with pytest.raises(LineTooLong):
                await connection.read_line(1000)
        sizes.append(connection.buffered)
        assert await connection.read_line(1000) == b"end"
        connection.write(b"end\r\n")
        await connection.read_line(1000)

    client = await agreed(house, serve)
    raw = bomb(20_000_000)
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    client.write(raw + bomb(3_000_000) + made.compress(b"end\r\n") + made.flush(zlib.Z_SYNC_FLUSH))
    await asyncio.sleep(0.2)  # nothing tells that no more is inflated
    go.set()
    client.start_deflate()
    assert await client.read_line(100) == b"end"
    assert max(sizes) <= READ_HIGH_WATER + 2 * DEFLATE_STEP


async def test_others_have_their_turn_while_a_bomb_goes_off(house: House):
    client = await agreed(house)
    client.write(bomb(20_000_000))
    turns, worst, loop = 0, 0.0, asyncio.get_running_loop()
    reading = asyncio.create_task(house.until_ended())
    while not reading.done():
        began = loop.time()
        await asyncio.sleep(0)
        worst = max(worst, loop.time() - began)
        turns += 1
    assert isinstance(house.faults[0], LineTooLong)
    assert worst < 0.1  # two cores shared with other tests; it is below a millisecond alone


async def test_a_counted_literal_is_taken_as_it_is_asked_for(house: House):
    async def serve(connection: Connection) -> None:
        await connection.read_line(1000)
        connection.write(b"OK\r\n")
        connection.start_deflate()
        size = int(await connection.read_line(1000))
        total = 0
        async for piece in connection.octets(size):
            assert len(piece) <= DEFLATE_STEP
            total += len(piece)
        connection.write(b"%d %b\r\n" % (total, await connection.read_line(1000)))

    client = await agreed(house, serve)
    client.start_deflate()
    client.write(b"30000000\r\n" + b"\0" * 30_000_000 + b"end\r\n")
    assert await client.read_line(100) == b"30000000 end"


async def test_large_writes_go_out_in_steps_and_drain_waits(house: House):
    text = b"".join(b"* %d FETCH (FLAGS (\\Seen))\r\n" % i for i in range(200_000))
    waited: list[int] = []

    async def serve(connection: Connection) -> None:
        await connection.read_line(1000)
        connection.write(b"OK\r\n")
        connection.start_deflate()
        connection.write(text)
        assert connection._transport is not None
        waited.append(connection._transport.get_write_buffer_size())
        await connection.drain()
        waited.append(connection._transport.get_write_buffer_size())
        connection.write(b"end\r\n")

    client = await agreed(house, serve)
    client.start_deflate()
    heard = b""
    while len(heard) < len(text) + 5:
        heard += await client.read_some(10**6)
    assert heard == text + b"end\r\n"
    assert waited[0] > len(text) - DEFLATE_STEP - WRITE_HIGH_WATER  # one step was done at once
    assert waited[1] <= WRITE_HIGH_WATER


async def test_what_was_written_last_is_sent_before_closing(house: House):
    async def serve(connection: Connection) -> None:
        await connection.read_line(1000)
        connection.write(b"OK\r\n")
        connection.start_deflate()
        connection.write(b"y" * 1_000_000)
        connection.write(b"* BYE\r\n")

    client = await agreed(house, serve)
    client.start_deflate()
    assert len(await client.read_exactly(1_000_000)) == 1_000_000
    assert await client.read_line(100) == b"* BYE"
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)


async def test_a_half_closed_peer_still_gets_all_its_answers(house: House):
    client = await agreed(house)
    lines = [b"line %d" % i for i in range(20_000)]
    client.write(bomb(0, b"", b"\r\n".join(lines) + b"\r\n"))
    assert client._transport is not None
    client._transport.write_eof()
    client.start_deflate()
    for line in lines:
        assert await client.read_line(100) == b"> " + line
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)


async def test_nonsense_is_told_after_what_came_before_it(house: House):
    async def serve(connection: Connection) -> None:
        try:
            await echo(connection)
        except BadlyCompressed:
            connection.write(b"not deflated\r\n")

    client = await agreed(house, serve)
    client.write(bomb(0, b"", b"one\r\n"))
    while client.buffered == 0:  # nothing tells that it came
        await asyncio.sleep(0)
    client.write(b"\xff" * 10_000)
    client.start_deflate()
    assert await client.read_line(100) == b"> one"
    assert await client.read_line(100) == b"not deflated"
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)


async def test_the_end_of_the_stream_is_the_end_of_what_the_peer_says(house: House):
    client = await agreed(house)
    deflated = zlib.compressobj(6, zlib.DEFLATED, -15)
    client.write(deflated.compress(b"one\r\n") + deflated.flush(zlib.Z_FINISH) + b"more\r\n")
    client.start_deflate()
    assert await client.read_line(100) == b"> one"
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)
    await house.until_ended()


async def test_who_rests_keeps_no_windows_and_goes_on(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deflate_layer, "DEFLATE_REST", 0.05)
    client = await agreed(house)
    client.start_deflate()
    for _ in range(3):
        client.write(b"the same line\r\n")
        assert await client.read_line(100) == b"> the same line"
        layer = house.sessions[0]._transport
        assert isinstance(layer, deflate_layer.DeflateLayer)
        assert layer._compressor._state is not None
        assert layer._inflater._state is not None
        while not layer._resting:
            await asyncio.sleep(0.01)
        assert layer._compressor._state is None
        assert layer._inflater._state is None


async def test_a_peer_that_does_not_read_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "WRITE_TIMEOUT", 0.1)

    async def serve(connection: Connection) -> None:
        await connection.read_line(1000)
        connection.write(b"OK\r\n")
        connection.start_deflate()
        while True:
            connection.write(os.urandom(200_000))
            await connection.drain()

    host, _, port = (await house.listen(serve)).bound[0].rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(b"compress\r\n")
    await house.until_ended()
    assert "does not read" in str(house.faults[0])
    writer.close()


async def test_shutting_down_can_be_told(house: House):
    async def serve(connection: Connection) -> None:
        try:
            await echo(connection)
        except ConnectionClosed:
            connection.write(b"* BYE\r\n")

    client = await agreed(house, serve)
    client.start_deflate()
    house.sessions[0].shut_down()
    assert await client.read_line(100) == b"* BYE"


async def test_it_cannot_be_begun_twice_nor_tls_below_it(house: House, pair_files: tuple[Path, Path, Pair]):
    client = await agreed(house)
    client.start_deflate()
    with pytest.raises(LocalProtocolError):
        client.start_deflate()
    with pytest.raises(LocalProtocolError):
        await client.start_tls(server_context(*pair_files[:2]))


@pytest.mark.parametrize("how", ["abort", "reset"])
@pytest.mark.parametrize("doing", ["inflating", "compressing"])
async def test_a_connection_that_breaks_in_the_middle(house: House, how: str, doing: str):
    """Turns that were due do nothing any more, and raise nothing."""
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))

    async def serve(connection: Connection) -> None:
        await connection.read_line(1000)
        connection.write(b"OK\r\n")
        connection.start_deflate()
        if doing == "compressing":
            connection.write(b"line of text\r\n" * 50_000)
        await connection.read_line(1000)
        if how == "abort":
            connection.abort()
            connection.write(b"more\r\n")
        async for _ in connection.octets(2**40):
            pass

    for _ in range(3):
        client = await agreed(house, serve)
        client.write(bomb(0, b"", b"go\r\n") if doing == "compressing" else bomb(1_000_000, b"x\r\n"))
        await asyncio.sleep(0.01)
        client.abort()
        await house.until_ended()
        house.ended.clear()
    assert faults == []


# --- the end of it (RFC 8437 §4.1) ---------------------------------------------------------------------------


async def until_bye(connection: Connection) -> None:
    """Compressed up to `bye`, then in the clear, again and again."""
    while True:
        await connection.read_line(1000)
        connection.write(b"OK\r\n")
        connection.start_deflate(lambda said: said.endswith(b"bye\r\n"))
        while (line := await connection.read_line(1000)) != b"bye":
            connection.write(b"> " + line + b"\r\n")
        connection.write(b"> bye\r\n")
        await connection.stop_deflate()
        assert not connection.deflated
        connection.write(b"clear: " + await connection.read_line(1000) + b"\r\n")


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
async def test_it_ends_and_begins_again(
    house: House, pair_files: tuple[Path, Path, Pair], flush: int, secure: bool
):
    trust = ssl.create_default_context(cadata=pair_files[2].authority.decode())
    options = {"tls": server_context(*pair_files[:2])} if secure else {}
    listener = await house.listen(until_bye, **options)
    host, _, port = listener.bound[0].rpartition(":")
    tls = {"ssl": trust, "server_hostname": "mx.test"} if secure else {}
    reader, writer = await asyncio.open_connection(host, int(port), **tls)  # type: ignore[arg-type]
    for turn in range(3):
        writer.write(b"compress\r\n")
        assert await reader.readline() == b"OK\r\n"
        out, back = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        raw = out.compress(b"one\r\nbye\r\n") + out.flush(flush)
        writer.write(raw + b"clear text\r\n" if turn else raw)
        heard = b""
        while not back.eof:
            heard += back.decompress(await reader.read(1000))
        assert heard == b"> one\r\n> bye\r\n"
        if not turn:
            writer.write(b"clear text\r\n")
        rest = back.unused_data
        while not rest.endswith(b"\n"):
            rest += await reader.read(1000)
        assert rest == b"clear: clear text\r\n"
    writer.close()
    await house.until_ended()


async def test_what_the_peer_goes_on_to_compress_is_not_taken_for_clear_text(house: House):
    client = await agreed(house, until_bye)
    deflated = zlib.compressobj(6, zlib.DEFLATED, -15)
    raw = deflated.compress(b"bye\r\none") + deflated.flush(zlib.Z_SYNC_FLUSH)  # no line ends with the flush
    client.write(raw)
    await house.until_ended()
    assert isinstance(house.faults[0], BadlyCompressed)


async def test_what_came_long_after_such_a_line_is_not_kept(house: House):
    """A text that only looks like the end: what comes behind it takes no memory for long."""
    client = await agreed(house, until_bye)
    client.start_deflate()
    client.write(b"no bye\r\n")
    assert await client.read_line(100) == b"> no bye"
    layer = house.sessions[0]._transport
    assert isinstance(layer, deflate_layer.DeflateLayer)
    assert layer._behind is not None
    for _ in range(120):
        client.write(os.urandom(900).replace(b"\n", b"") + b"\r\n")
    while layer._behind is not None:  # nothing tells that all of it has come
        assert len(layer._behind) <= READ_HIGH_WATER
        await asyncio.sleep(0)
