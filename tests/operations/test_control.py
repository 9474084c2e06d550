"""The control socket: who may use it, what it answers, and that broken requests harm nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.house import House
from posthouse.operations.control import ControlServer, socket_path
from posthouse.operations.control_client import ControlClient, ControlFailed


@pytest.fixture
async def control(house: House) -> AsyncIterator[Path]:
    """The data folder of a house whose control socket listens."""
    server = ControlServer(socket_path(house.config.data), lambda: house.administration)
    await server.start()
    yield house.config.data
    await server.stop()


async def ask(data: Path, command: str, body: bytes = b"", **arguments: object) -> list[object]:
    def blocking() -> list[object]:
        client = ControlClient.connect(data)
        assert client is not None
        try:
            return list(client.run(command, arguments, body))
        finally:
            client.close()

    return await asyncio.to_thread(blocking)


async def raw(data: Path, octets: bytes) -> bytes:
    def blocking() -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(data / "run" / "control"))
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
            return answer

    return await asyncio.to_thread(blocking)


async def test_only_the_owner_may_use_it(control: Path) -> None:
    assert stat.S_IMODE((control / "run" / "control").stat().st_mode) == 0o600
    assert stat.S_IMODE(control.stat().st_mode) == 0o700


async def test_commands_are_done_by_the_running_house(control: Path, house: House) -> None:
    await ask(control, "domain.add", name="north.test")
    assert [domain.name for domain in await house.store.domains()] == ["north.test"]


async def test_errors_keep_their_kind(control: Path) -> None:
    for command, kind in (("domain.show", "NotFound"), ("domain.add", "Usage"), ("burn", "Usage")):
        with pytest.raises(ControlFailed) as failed:
            await ask(control, command, name="no domain" if command == "domain.add" else "none.test")
        assert failed.value.kind == kind


async def test_so_many_may_ask_at_once(control: Path) -> None:
    """A script that never hangs up must not take all descriptors of the server."""

    def connect() -> tuple[list[socket.socket], list[socket.socket]]:
        socks = []
        for _ in range(50):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            sock.connect(str(control / "run" / "control"))
            socks.append(sock)
        served = []
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.sendall(b'{"command": "domain.list"}\r\n')
                if sock.recv(100):
                    served.append(sock)
        return socks, served

    socks, served = await asyncio.to_thread(connect)
    assert len(served) == 32
    for sock in socks:
        sock.close()
    async with asyncio.timeout(10):
        while True:  # who has gone makes room
            with contextlib.suppress(ConnectionError):
                assert await ask(control, "domain.list") == [[]]
                break


async def test_several_requests_on_one_connection(control: Path) -> None:
    line = b'{"command": "domain.list"}\r\n'
    answers = (await raw(control, line * 3)).split(b"\r\n")
    assert [json.loads(a) for a in answers if a] == [{"item": []}, {"end": True}] * 3


async def test_a_body_may_hold_anything(control: Path) -> None:
    await ask(control, "domain.add", name="north.test")
    answer = await ask(control, "account.import", b"bob@north.test,pass\r\n\r\ncarol@north.test,x\n")
    assert answer == [{"added": 2, "refused": []}]


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b'{"command": 17}\r\n',
        b'{"command": "domain.list", "octets": -1}\r\n',
        b'{"command": "domain.list", "octets": 99999999999}\r\n',
        b'{"command": "domain.list", "arguments": {"x": 1}}\r\n',
        b"\xff\xfe\r\n",
    ],
)
async def test_broken_requests_are_told_so(control: Path, octets: bytes) -> None:
    first = (await raw(control, octets)).split(b"\r\n")[0]
    assert json.loads(first)["error"]["kind"] == "Usage"
    assert await ask(control, "domain.list") == [[]]


async def test_an_endless_line_is_told_so(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_LINE", 1000)
    assert json.loads(await raw(control, b"x" * 5000 + b"\r\n"))["error"]["kind"] == "Usage"
    assert await ask(control, "domain.list") == [[]]


async def test_a_fault_is_told_without_its_inside(
    control: Path, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("private")

    monkeypatch.setattr(house.store, "domains", broken)
    with pytest.raises(ControlFailed) as failed:
        await ask(control, "domain.list")
    assert "private" not in failed.value.public
    fault_id = failed.value.public.split()[2].rstrip(";")
    assert fault_id in caplog.text


def test_nobody_answers_where_nothing_runs(tmp_path: Path) -> None:
    assert ControlClient.connect(tmp_path) is None
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "run" / "control"))
    assert ControlClient.connect(tmp_path) is None


async def test_a_long_path_is_no_hindrance(tmp_path: Path, cheap_hashes: None) -> None:
    from posthouse.config import Config

    data = tmp_path / ("long" * 25) / "data"
    data.parent.mkdir()
    house = await House.open(Config(hostname="mx.test", data=data))
    server = ControlServer(socket_path(data), lambda: house.administration)
    await server.start()
    assert await ask(data, "domain.list") == [[]]
    await server.stop()
    await house.close()


async def test_what_is_too_large_is_said_so(control: Path) -> None:
    """The server hangs up in the middle of it: the client still tells why."""
    with pytest.raises(ControlFailed, match="body is too large"):
        await ask(control, "spam.train", bytes(limits.CONTROL_BODY + 1), junk=True, account="")
    with pytest.raises(ControlFailed) as failed:
        await ask(control, "domain.set", name="north.test", known=["a" * 100] * (limits.CONTROL_LINE // 50))
    assert failed.value.kind == "Usage"


async def test_a_server_that_goes_away_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "run" / "control"))
        server.listen()
        asking = asyncio.create_task(ask(tmp_path, "spam.train", bytes(8 * limits.MB)))
        taken = (await asyncio.to_thread(server.accept))[0]
        taken.close()
        with pytest.raises(ConnectionError) as failed:
            await asking
    assert not isinstance(failed.value, BrokenPipeError), "which would mean that nobody reads our output"


async def test_a_long_import_is_not_silent(
    control: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that hears nothing for CONTROL_IDLE takes the server for dead."""
    await ask(control, "domain.add", name="north.test")
    monkeypatch.setattr(limits, "IMPORT_BATCH", 2)
    rows = "".join(f"user{n}@north.test,secret\n" for n in range(5)) + "user0@north.test,secret\n"
    items = await ask(control, "account.import", rows.encode())
    assert [(item["added"], len(item["refused"])) for item in items] == [(2, 0), (4, 0), (5, 1)]  # type: ignore[index]  # objects of JSON


async def test_so_many_are_served_at_once(control: Path) -> None:
    path = str(control / "run" / "control")
    held = [await asyncio.open_unix_connection(path) for _ in range(32)]
    for reader, writer in held:
        writer.write(b'{"command": "nothing of ours"}\r\n')
        assert b'"error"' in await asyncio.wait_for(reader.readline(), 5)
    reader, writer = await asyncio.open_unix_connection(path)
    assert await asyncio.wait_for(reader.read(), 5) == b"", "one more is sent away"
    for _, each in (*held, (reader, writer)):
        each.close()
