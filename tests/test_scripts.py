"""Plays every conversation of tests/scripts against a real post office, whole and octet by octet."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from tests.house import PASSWORDS, TestHouse
from tests.run_script import Client, Player, Script, parse

pytestmark = pytest.mark.long
SCRIPTS = sorted((Path(__file__).parent / "scripts").rglob("*.txt"))


async def until(client: Client, tag: str) -> None:
    """Read up to the tagged line, which must be OK."""
    while not (line := await client.line()).startswith(f"{tag} "):
        pass
    assert line.startswith(f"{tag} OK"), line


async def enter_imap(client: Client, state: str, login: str) -> None:
    await client.line()
    await client.send(f'z1 LOGIN {login} "{PASSWORDS[login]}"\r\n'.encode())
    await until(client, "z1")
    if state == "selected":
        await client.send(b"z2 SELECT INBOX\r\n")
        await until(client, "z2")


async def enter_pop3(client: Client, state: str, login: str) -> None:
    await client.line()
    for line in (f"USER {login}", f"PASS {PASSWORDS[login]}"):
        await client.send(f"{line}\r\n".encode())
        assert (await client.line()).startswith("+OK")


async def enter_sieve(client: Client, state: str, login: str) -> None:
    secret = base64.b64encode(f"\0{login}\0{PASSWORDS[login]}".encode()).decode()
    while not (await client.line()).startswith("OK"):
        pass
    await client.send(f'AUTHENTICATE "PLAIN" "{secret}"\r\n'.encode())
    assert (await client.line()).startswith("OK")


async def reply(client: Client) -> str:
    while (line := await client.line())[3:4] == "-":
        pass
    return line


async def enter_smtp(client: Client, state: str, login: str) -> None:
    await reply(client)
    await client.send(b"EHLO client.elsewhere.test\r\n")
    await reply(client)
    if state == "authenticated":
        secret = base64.b64encode(f"\0{login}\0{PASSWORDS[login]}".encode()).decode()
        await client.send(f"AUTH PLAIN {secret}\r\n".encode())
        assert (await reply(client)).startswith("235")


async def enter_lmtp(client: Client, state: str, login: str) -> None:
    await reply(client)
    await client.send(b"LHLO client.elsewhere.test\r\n")
    await reply(client)


ENTER: dict[str, Callable[[Client, str, str], Coroutine[None, None, None]]] = {
    "imap": enter_imap,
    "pop3": enter_pop3,
    "sieve": enter_sieve,
    "smtp": enter_smtp,
    "submission": enter_smtp,
    "lmtp": enter_lmtp,
}
GREETING = {"", "greeting", "any", "connected"}


async def play(script: Script, folder: Path, chunk: int) -> None:
    server = script.header["server"]
    login = script.header.get("login", "alice@example.test")
    house = await TestHouse.open(folder)
    clients: list[Client] = []
    try:
        await house.fill("alice@example.test", int(script.header.get("messages", "0")))
        for _ in range(script.clients):
            client = await Client.connect("127.0.0.1", house.port(server))
            clients.append(client)
            state = script.header.get("state", "")
            if state not in GREETING:
                await ENTER[server](client, state, login)
            client.heard.clear()
            client.chunk = chunk
        await Player(script, clients).play()
        want = script.path.with_suffix(".want")
        if want.exists():  # a small local file, in a test
            await house.expect(want.read_text().splitlines())
    finally:
        for client in clients:
            client.close()
        await house.close()


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_conversation(path: Path, tmp_path: Path) -> None:
    asyncio.run(play(parse(path), tmp_path, 0))


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_conversation_octet_by_octet(path: Path, tmp_path: Path) -> None:
    script = parse(path)
    if script.header.get("whole") == "yes":
        return  # what it shows depends on what arrives together
    asyncio.run(play(script, tmp_path, 1))
