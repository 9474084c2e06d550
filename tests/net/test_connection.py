"""Connection over real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import socket

import pytest

from posthouse.errors import LocalProtocolError
from posthouse.limits import READ_HIGH_WATER
from posthouse.net import connection as connection_module
from posthouse.net import wire
from posthouse.net.connection import (
    Connection,
    ConnectionClosed,
    IdleTimeout,
    LineTooLong,
    ShuttingDown,
    TooSlow,
    TotalTimeout,
    WriteTimeout,
)
from tests.net.conftest import House


async def echo(connection: Connection) -> None:
    while True:
        connection.write(b"> " + await connection.read_line(1000) + b"\r\n")
        await connection.drain()


async def silent(connection: Connection) -> None:
    await connection.read_line(1000)


async def test_lines_go_both_ways(house: House):
    client = await house.pair(echo)
    client.write(b"one\r\ntwo\r\n")
    assert await client.read_line(100) == b"> one"
    assert await client.read_line(100) == b"> two"
    assert client.peer == house.sessions[0].local
    assert client.local == house.sessions[0].peer
    assert client.is_loopback


async def test_what_is_buffered_is_read_without_suspending(house: House):
    client = await house.pair(echo)
    client.write(b"one\r\ntwo\r\nthree\r\n")
    while client.buffered < len("> one> two> three") + 6:  # nothing tells that they came
        await asyncio.sleep(0)
    reading = client.read_line(100)
    with pytest.raises(StopIteration) as read:
        reading.send(None)
    assert read.value.value == b"> one"
    reading = client.read_exactly(4)
    with pytest.raises(StopIteration) as read:
        reading.send(None)
    assert read.value.value == b"> tw"


async def test_counted_octets_and_lines_alternate(house: House):
    async def serve(connection: Connection) -> None:
        count = int(await connection.read_line(100))
        literal = await connection.read_exactly(count)
        rest = await connection.read_line(100)
        connection.write(literal[-3:] + b"|" + rest + b"\r\n")

    client = await house.pair(serve)
    client.write(b"300000\r\n" + b"x" * 299_998 + b"yzrest\r\n")
    assert await client.read_line(100) == b"xyz|rest"


async def test_counted_octets_in_pieces(house: House):
    async def serve(connection: Connection) -> None:
        got = [piece async for piece in connection.octets(300_000)]
        connection.write(b"%d %d\r\n" % (sum(map(len, got)), connection.buffered))

    client = await house.pair(serve)
    client.write(b"x" * 300_000)
    assert await client.read_line(100) == b"300000 0"


async def test_dotted_text_streams(house: House):
    async def serve(connection: Connection) -> None:
        text = b"".join([piece async for piece in connection.dotted()])
        connection.write(
            b"%d %r\r\n" % (len(text), connection.bare_cr_or_lf) + await connection.read_line(100)
        )
        connection.write(b"\r\n")

    client = await house.pair(serve)
    client.writelines([b"..x\r\n" * 100_000, b".\r\nQUIT\r\n"])
    assert await client.read_line(100) == b"400000 False"
    assert await client.read_line(100) == b"QUIT"


async def test_a_line_over_its_limit_leaves_the_connection_usable(house: House):
    client = await house.pair(echo)
    client.write(b"0123456789\r\nok\r\n")
    with pytest.raises(LineTooLong):
        await client.read_line(10)
    assert await client.read_line(10) == b"> ok"


async def test_the_peer_closing_is_told_after_what_it_sent(house: House):
    async def serve(connection: Connection) -> None:
        connection.write(b"bye\r\nhalf")

    client = await house.pair(serve)
    assert await client.read_line(100) == b"bye"
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)
    assert client.buffered == 4


async def test_a_half_closed_peer_still_gets_its_answers(house: House):
    listener = await house.listen(echo)
    host, _, port = listener.bound[0].rpartition(":")

    def converse() -> bytes:
        with socket.create_connection((host, int(port)), timeout=5) as sock:
            sock.sendall(b"one\r\ntwo\r\n")
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(4096), b""))

    assert await asyncio.to_thread(converse) == b"> one\r\n> two\r\n"


async def test_closing_with_input_unread_does_not_lose_the_last_reply(house: House):
    read_on = asyncio.Event()

    async def serve(connection: Connection) -> None:
        await connection.read_line(100)
        await read_on.wait()
        connection.write(b"too much\r\n")

    listener = await house.listen(serve)
    host, _, port = listener.bound[0].rpartition(":")
    loop = asyncio.get_running_loop()

    def converse() -> bytes:
        with socket.create_connection((host, int(port)), timeout=5) as sock:
            sock.sendall(b"first\r\n" + b"x" * 200_000)
            loop.call_soon_threadsafe(read_on.set)
            return b"".join(iter(lambda: sock.recv(4096), b""))

    assert await asyncio.to_thread(converse) == b"too much\r\n"


async def test_reading_pauses_above_the_high_water_mark(house: House):
    go = asyncio.Event()
    seen: list[int] = []

    async def serve(connection: Connection) -> None:
        await go.wait()
        seen.append(connection.buffered)
        total = 0
        while total < 20_000_000:
            total += len(await connection.read_some(1 << 20))
        connection.write(b"all\r\n")

    client = await house.pair(serve)
    client.write(b"x" * 20_000_000)
    drained = asyncio.ensure_future(client.drain())
    for _ in range(200):
        await asyncio.sleep(0)
    assert not drained.done(), "the writer must feel that nobody reads"
    go.set()
    await drained
    assert await client.read_line(100) == b"all"
    assert 0 < seen[0] <= READ_HIGH_WATER + 256_000


async def test_drain_gives_up_on_a_peer_that_does_not_read(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "WRITE_TIMEOUT", 0.05)

    async def serve(connection: Connection) -> None:
        connection.write(b"x" * 20_000_000)
        await connection.drain()

    listener = await house.listen(serve)
    host, _, port = listener.bound[0].rpartition(":")
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        await house.until_ended()
    assert [type(fault) for fault in house.faults] == [WriteTimeout]


async def test_who_is_sent_away_and_does_not_go_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "SENT_AWAY_TIME", 0.1)
    held = asyncio.Event()

    async def serve(connection: Connection) -> None:
        await held.wait()  # it neither reads nor writes: nobody tells it

    client = await house.pair(serve)
    while not house.sessions:
        await asyncio.sleep(0.01)
    house.sessions[0].send_away()
    try:
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionClosed):
                await client.read_line(100)
    finally:
        held.set()


async def test_a_silent_peer_meets_the_idle_limit_and_can_be_told(house: House):
    async def serve(connection: Connection) -> None:
        connection.set_idle_timeout(0.05)
        try:
            await connection.read_line(100)
        except IdleTimeout:
            connection.write(b"timeout\r\n")

    client = await house.pair(serve)
    assert await client.read_line(100) == b"timeout"


async def test_a_dripping_line_meets_the_idle_limit(house: House):
    async def serve(connection: Connection) -> None:
        connection.set_idle_timeout(0.1)
        await connection.read_line(100)

    client = await house.pair(serve)
    while not house.ended.is_set():
        client.write(b"x")
        await asyncio.sleep(0.02)
    assert [type(fault) for fault in house.faults] == [IdleTimeout]


async def test_a_dripping_transfer_falls_below_the_least_rate(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection_module, "TRANSFER_GRACE", 0.05)

    async def serve(connection: Connection) -> None:
        connection.set_idle_timeout(5)
        async for _ in connection.dotted():
            pass

    client = await house.pair(serve)
    while not house.ended.is_set():
        client.write(b"x\r\n")
        await asyncio.sleep(0.03)
    assert [type(fault) for fault in house.faults] == [TooSlow]


async def test_the_total_limit_ends_a_busy_session(house: House):
    async def serve(connection: Connection) -> None:
        connection.set_total_timeout(0.1)
        while True:
            connection.write(await connection.read_line(100) + b"\r\n")

    client = await house.pair(serve)
    with pytest.raises(ConnectionClosed):
        while True:
            client.write(b"NOOP\r\n")
            await client.read_line(100)
    assert [type(fault) for fault in house.faults] == [TotalTimeout]


async def test_a_busy_session_is_not_idle(house: House):
    work_done = asyncio.Event()

    async def serve(connection: Connection) -> None:
        connection.set_idle_timeout(0.1)
        connection.write(await connection.read_line(100) + b"\r\n")
        await work_done.wait()
        connection.write(await connection.read_line(100) + b"\r\n")

    client = await house.pair(serve)
    client.write(b"one\r\n")
    assert await client.read_line(100) == b"one"
    await asyncio.sleep(0.15)  # longer than the limit: what passes here is our own work
    client.write(b"two\r\n")
    work_done.set()
    assert await client.read_line(100) == b"two"


async def test_shutting_down_reaches_a_waiting_session_after_its_buffered_commands(house: House):
    said: list[str] = []

    async def serve(connection: Connection) -> None:
        try:
            await connection.read_line(100)
            connection.shut_down()
            said.append((await connection.read_line(100)).decode())
            await connection.read_line(100)
        except ShuttingDown:
            connection.write(b"bye\r\n")

    client = await house.pair(serve)
    client.write(b"one\r\ntwo\r\n")
    assert await client.read_line(100) == b"bye"
    assert said == ["two"]


async def test_two_reads_at_once_are_our_fault(house: House):
    client = await house.pair(silent)
    first = asyncio.ensure_future(client.read_line(100))
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError):
        await client.read_line(100)
    first.cancel()


async def test_a_cancelled_read_leaves_the_connection_usable(house: House):
    client = await house.pair(echo)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.read_line(100), 0.01)
    client.write(b"one\r\n")
    assert await client.read_line(100) == b"> one"


async def test_writing_to_a_lost_connection_is_harmless_and_drain_tells(house: House):
    async def serve(connection: Connection) -> None:
        connection.abort()

    client = await house.pair(serve)
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)
    client.close()
    await client.wait_closed()
    client.write(b"x")
    client.close()
    with pytest.raises(ConnectionClosed):
        await client.drain()


async def test_closing_gives_up_on_a_peer_that_does_not_read(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "CLOSE_TIMEOUT", 0.05)

    async def serve(connection: Connection) -> None:
        connection.write(b"x" * 20_000_000)

    listener = await house.listen(serve)
    host, _, port = listener.bound[0].rpartition(":")
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        await house.until_ended()
        await asyncio.wait_for(house.sessions[0].wait_closed(), 5)
    assert house.gate.open == 0


async def test_small_writes_are_not_delayed(house: House):
    client = await house.pair(echo)
    client.write(b"one\r\n")
    await client.read_line(100)
    for end in (client, house.sessions[0]):
        option = end._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert option
