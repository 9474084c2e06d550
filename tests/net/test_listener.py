"""Listener and ConnectionGate."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
import stat
from ipaddress import ip_network
from pathlib import Path

import pytest

from posthouse.net import listener as listener_module
from posthouse.net import proxy_protocol
from posthouse.net.connection import Connection, ConnectionClosed
from posthouse.net.endpoint import Endpoint, address_group
from posthouse.net.listener import ConnectionGate, Listener
from tests.net.conftest import House


async def greet(connection: Connection) -> None:
    connection.write(f"hello {connection.peer}\r\n".encode())
    await connection.read_line(100)


async def test_ports_are_told_as_bound(house: House):
    listener = await house.listen(greet)
    host, _, port = listener.bound[0].rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


async def test_ipv6_is_written_in_brackets(house: House):
    listener = await house.listen(greet, "[::1]:0")
    assert listener.bound[0].startswith("[::1]:")
    client = await house.connect(listener)
    assert (await client.read_line(100)).startswith(b"hello [::1]:")
    assert client.is_loopback


async def test_unix_sockets_have_the_mode_asked_for(house: House, tmp_path: Path):
    path = tmp_path / "lmtp"
    listener = await house.listen(greet, f"unix:{path}", unix_mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert listener.bound == [f"unix:{path}"]

    def converse() -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            return sock.recv(100)

    assert await asyncio.to_thread(converse) == b"hello :0\r\n"
    assert house.sessions[0].is_loopback
    await listener.stop(grace=0)
    assert not path.exists()


async def test_a_dead_unix_socket_is_replaced_and_a_living_one_is_not(house: House, tmp_path: Path):
    path = tmp_path / "lmtp"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    await house.listen(greet, f"unix:{path}")
    with pytest.raises(OSError):
        await house.listen(greet, f"unix:{path}")
    assert path.exists()


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1", "127.0.0.1:smtp", ""])
async def test_bad_addresses_are_told(house: House, address: str):
    with pytest.raises(ValueError, match="address:port"):
        await house.listen(greet, address)


async def test_when_one_address_fails_none_is_kept(house: House):
    first = await house.listen(greet)
    other = Listener(["127.0.0.1:0", first.bound[0]], greet, gate=house.gate)
    with pytest.raises(OSError):
        await other.start()
    assert other.bound == []


async def test_over_the_limit_a_peer_hears_the_busy_line(house: House):
    gate = ConnectionGate(1, 100)
    listener = await house.listen(greet, gate=gate, refusal=b"421 busy\r\n")
    first = await house.connect(listener)
    await first.read_line(100)
    second = await house.connect(listener)
    assert await second.read_line(100) == b"421 busy"
    with pytest.raises(ConnectionClosed):
        await second.read_line(100)
    first.write(b"bye\r\n")
    with pytest.raises(ConnectionClosed):
        await first.read_line(100)
    third = await house.connect(listener)
    assert (await third.read_line(100)).startswith(b"hello")


def test_the_gate_counts_by_address_and_ipv6_by_network():
    gate = ConnectionGate(100, 2)
    one, other = Endpoint("192.0.2.1", 5), Endpoint("192.0.2.2", 5)
    assert [gate.enter(one), gate.enter(one), gate.enter(one), gate.enter(other)] == [True, True, False, True]
    gate.leave(one)
    assert gate.enter(one)
    near, far = Endpoint("2001:db8::1", 5), Endpoint("2001:db8:0:1::1", 5)
    assert gate.enter(near)
    assert gate.enter(Endpoint("2001:db8::ffff:1", 5))
    assert not gate.enter(near)
    assert gate.enter(far)
    assert address_group(near.host) == "2001:db8::"


def test_the_gate_does_not_count_loopback_by_address():
    gate = ConnectionGate(3, 1)
    assert all(gate.enter(Endpoint(host, 1)) for host in ("127.0.0.1", "127.0.0.1", "::1"))
    assert not gate.enter(Endpoint("127.0.0.1", 1))


def test_the_gate_forgets_addresses_that_left():
    gate = ConnectionGate(100, 2)
    for number in range(50):
        gate.enter(Endpoint(f"192.0.2.{number}", 1))
        gate.leave(Endpoint(f"192.0.2.{number}", 1))
    assert gate.open == 0
    assert not gate._by_address


async def test_a_failing_session_is_logged_and_harms_no_other(house: House, caplog: pytest.LogCaptureFixture):
    async def serve(connection: Connection) -> None:
        if await connection.read_line(100) == b"fail":
            raise RuntimeError("broken on purpose")
        connection.write(b"fine\r\n")

    listener = await house.listen(serve)
    bad, good = await house.connect(listener), await house.connect(listener)
    bad.write(b"fail\r\n")
    with pytest.raises(ConnectionClosed):
        await bad.read_line(100)
    good.write(b"x\r\n")
    assert await good.read_line(100) == b"fine"
    assert house.sessions[0].session_id in caplog.text
    assert "broken on purpose" in caplog.text


async def test_stopping_lets_sessions_say_goodbye(house: House):
    async def serve(connection: Connection) -> None:
        connection.write(b"hello\r\n")
        try:
            await connection.read_line(100)
        except ConnectionClosed:
            connection.write(b"going down\r\n")

    listener = await house.listen(serve)
    client = await house.connect(listener)
    await client.read_line(100)
    await listener.stop()
    assert await client.read_line(100) == b"going down"
    with pytest.raises(OSError):
        await house.connect(listener)


async def test_stopping_cuts_off_who_does_not_end(house: House):
    async def serve(connection: Connection) -> None:
        connection.write(b"hello\r\n")
        await asyncio.Event().wait()

    listener = await house.listen(serve)
    client = await house.connect(listener)
    await client.read_line(100)
    await listener.stop(grace=0.01)
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)
    assert house.gate.open == 0


@pytest.mark.parametrize(
    ("header", "seen"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 25\r\n", b"hello 192.0.2.7:4000"),
        (b"PROXY UNKNOWN\r\n", b"hello 127.0.0.1"),
        (
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
            + bytes([192, 0, 2, 7, 192, 0, 2, 1])
            + b"\x0f\xa0\x00\x19",
            b"hello 192.0.2.7:4000",
        ),
    ],
)
async def test_a_trusted_proxy_names_the_real_peer(house: House, header: bytes, seen: bytes):
    listener = await house.listen(greet, proxies=[ip_network("127.0.0.0/8")])
    client = await house.connect(listener)
    client.write(header + b"rest\r\n")
    assert (await client.read_line(100)).startswith(seen)
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)


async def test_a_proxied_peer_counts_by_its_own_address(house: House):
    gate = ConnectionGate(100, 1)
    listener = await house.listen(greet, gate=gate, refusal=b"busy\r\n", proxies=[ip_network("127.0.0.0/8")])
    clients = [await house.connect(listener) for _ in range(3)]
    for client, host in zip(clients, (b"192.0.2.7", b"192.0.2.7", b"192.0.2.8"), strict=True):
        client.write(b"PROXY TCP4 " + host + b" 192.0.2.1 4000 25\r\n")
    heard = [await client.read_line(100) for client in clients]
    assert heard == [b"hello 192.0.2.7:4000", b"busy", b"hello 192.0.2.8:4000"]


@pytest.mark.parametrize("sent", [b"EHLO stranger\r\n", b"PROXY TCP4 x y 1 2\r\n", b"PROXY " + b"x" * 200])
async def test_a_proxy_that_does_not_say_so_is_cut_off(house: House, sent: bytes):
    listener = await house.listen(greet, proxies=[ip_network("127.0.0.0/8")])
    client = await house.connect(listener)
    client.write(sent)
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)
    assert house.sessions == []


async def test_a_peer_that_is_no_proxy_is_taken_as_it_is(house: House):
    listener = await house.listen(greet, proxies=[ip_network("192.0.2.0/24")])
    client = await house.connect(listener)
    assert (await client.read_line(100)).startswith(b"hello 127.0.0.1:")


async def test_a_proxy_that_says_nothing_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(proxy_protocol, "PROXY_TIMEOUT", 0.05)
    listener = await house.listen(greet, proxies=[ip_network("127.0.0.0/8")])
    client = await house.connect(listener)
    with pytest.raises(ConnectionClosed):
        await client.read_line(100)


async def test_lack_of_descriptors_is_a_pause(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(listener_module, "ACCEPT_PAUSE", 0.02)
    listener = await house.listen(greet)
    host, _, port = listener.bound[0].rpartition(":")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_connection((host, int(port)), timeout=5) as client:
        os.close(lowest_free := os.dup(client.fileno()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            while "accept_failed" not in caplog.text:
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert (await asyncio.to_thread(client.recv, 100)).startswith(b"hello")


async def test_an_idle_connection_costs_little_memory(house: House):
    number = 300
    gate = ConnectionGate(2 * number, 1)
    listener = await house.listen(greet, gate=gate)
    host, _, port = listener.bound[0].rpartition(":")

    async def fill(count: int) -> list[socket.socket]:
        before = len(house.sessions)
        clients = [socket.create_connection((host, int(port)), timeout=5) for _ in range(count)]
        while len(house.sessions) < before + count:
            await asyncio.sleep(0)
        return clients

    clients = await fill(30)  # what is made once is made now
    before = proportional_set()
    clients += await fill(number)
    assert (proportional_set() - before) / number < 12 * 1024
    for client in clients:
        client.close()


def proportional_set() -> int:
    """Octets of memory that are this process's own share."""
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


async def test_so_many_are_accepted_before_others_have_their_turn(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listener_module, "ACCEPT_BATCH", 2)
    listener = await house.listen(greet)
    host, _, port = listener.bound[0].rpartition(":")
    peers = [socket.create_connection((host, int(port))) for _ in range(9)]  # nobody else runs meanwhile
    waiting = listener._sockets[0]
    in_a_row = [0]

    class Counting:
        def accept(self) -> object:
            found = waiting.accept()
            in_a_row[-1] += 1
            return found

    while sum(in_a_row) < 9:
        listener._accept(Counting())  # type: ignore[arg-type]
        in_a_row.append(0)
    assert max(in_a_row) == 2
    for peer in peers:
        peer.close()


async def test_a_session_that_will_not_end_does_not_keep_us(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listener_module, "STOP_TIMEOUT", 0.05)
    go = asyncio.Event()

    async def stubborn(connection: Connection) -> None:
        connection.write(b"hello\r\n")
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    listener = await house.listen(stubborn)
    client = await house.connect(listener)
    assert await client.read_line(100) == b"hello"
    async with asyncio.timeout(1):
        await listener.stop(grace=0)
    go.set()
