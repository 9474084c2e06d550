"""Whoever is no longer let in is sent away from open IMAP and POP3 sessions, within a second and nobody else."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from posthouse.accounts import open_logins
from posthouse.accounts.model import Login
from posthouse.accounts.open_logins import OpenLogins
from posthouse.errors import StoreUnavailable
from posthouse.net.tls import client_context
from posthouse.store.credentials import CredentialKind, RemoveCredentials
from posthouse.store.interface import RemoveAppPassword
from tests.house import PASSWORDS, TestHouse
from tests.machine import slowness

ALICE = "alice@example.test"


class Talk:
    """One client on a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, house: TestHouse, door: str, *, tls: ssl.SSLContext | None = None) -> Talk:
        talk = cls(*await asyncio.open_connection("127.0.0.1", house.port(door), ssl=tls))
        await talk.line()
        return talk

    async def line(self) -> bytes:
        return await asyncio.wait_for(self.reader.readline(), 5)

    async def say(self, text: str) -> bytes:
        self.writer.write(text.encode() + b"\r\n")
        return await self.line()

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), 5)
        except ConnectionError:
            return b""


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[TestHouse]:
    house = await TestHouse.open(tmp_path)
    await house.fill(ALICE, 2)
    yield house
    await house.close()


async def imap(house: TestHouse, password: str = PASSWORDS[ALICE], name: str = ALICE) -> Talk:
    talk = await Talk.open(house, "imap")
    assert b"a OK" in await talk.say(f"a LOGIN {name} {password}")
    return talk


async def idling(house: TestHouse, password: str = PASSWORDS[ALICE], name: str = ALICE) -> Talk:
    talk = await imap(house, password, name)
    assert await talk.say("b IDLE") == b"+ idling\r\n"
    return talk


async def pop3(house: TestHouse, password: str = PASSWORDS[ALICE], name: str = ALICE) -> Talk:
    talk = await Talk.open(house, "pop3")
    await talk.say(f"USER {name}")
    assert (await talk.say(f"PASS {password}")).startswith(b"+OK")
    assert (await talk.say("DELE 1")).startswith(b"+OK")
    return talk


async def call(house: TestHouse, command: str, /, **arguments: Any) -> Any:
    return await house.app.house.administration.command(command).call(arguments, b"")


async def password(house: TestHouse) -> None:
    await call(house, "account.passwd", address=ALICE, password="another one")


async def disabled(house: TestHouse) -> None:
    await call(house, "account.set", address=ALICE, disabled=True)


async def removed(house: TestHouse) -> None:
    await call(house, "account.remove", address=ALICE)


Change = Callable[[TestHouse], Awaitable[None]]


@pytest.mark.parametrize("change", [password, disabled, removed])
async def test_sessions_end_when_their_password_is_good_no_more(house: TestHouse, change: Change) -> None:
    others = [await idling(house, PASSWORDS["bob@example.test"], "bob@example.test")]
    sessions = [await idling(house), await imap(house), await pop3(house)]
    began = time.monotonic()
    await change(house)
    said = [await talk.rest() for talk in sessions]
    assert time.monotonic() - began < slowness()
    assert said == [b"* BYE The login is not good any more\r\n"] * 2 + [b""]
    if change is not removed:  # a session that is cut off has deleted nothing (RFC 1939 §6)
        assert await house.total(ALICE) == 2
    for talk in others:
        assert b"b OK" in await talk.say("DONE")


async def test_an_app_password_ends_its_own_sessions_only(house: TestHouse) -> None:
    made = [await call(house, "app-password.add", address=ALICE, name=name) for name in ("one", "two")]
    gone, stays = [await idling(house, each["password"]) for each in made]
    main = await idling(house)
    number = house.accounts[ALICE].account_id
    await house.app.store.apply(RemoveAppPassword(account_id=number, app_password_id=made[0]["id"]))
    assert (await gone.rest()).startswith(b"* BYE")
    await password(house)
    assert (await main.rest()).startswith(b"* BYE")
    assert b"b OK" in await stays.say("DONE")


async def test_a_token_ends_its_sessions(house: TestHouse) -> None:
    account = house.accounts[ALICE]
    bearers = house.app.house.directory.bearers
    made, secret = await bearers.add_token(account, name="program", scope=("imap",), expires_at=0)
    other, _ = await bearers.add_token(account, name="another", scope=(), expires_at=0)
    talk = await Talk.open(house, "imaps", tls=client_context(False))
    response = base64.b64encode(f"n,a={ALICE},\1auth=Bearer {secret}\1\1".encode()).decode()
    assert b"a OK" in await talk.say(f"a AUTHENTICATE OAUTHBEARER {response}")

    async def revoke(credential_id: int) -> None:
        kind = CredentialKind.TOKEN
        op = RemoveCredentials(account_id=account.account_id, kind=kind, credential_ids=(credential_id,))
        await house.app.store.apply(op)

    await revoke(other.credential_id)
    assert b"b OK" in await talk.say("b NOOP")
    await revoke(made.credential_id)
    assert (await talk.rest()).startswith(b"* BYE")


async def test_a_client_that_never_stops_talking_ends_too(house: TestHouse) -> None:
    talk = await imap(house)
    await talk.say("b SELECT INBOX")
    ended = False

    async def talk_on() -> None:
        while not ended:
            talk.writer.write(b"c FETCH 1:* (FLAGS BODY.PEEK[])\r\n" * 20)
            await talk.writer.drain()

    talking = asyncio.ensure_future(talk_on())
    reading = asyncio.ensure_future(talk.rest())
    await asyncio.sleep(0)
    began = time.monotonic()
    await disabled(house)
    await reading
    assert time.monotonic() - began < slowness()
    ended = True
    await asyncio.gather(talking, return_exceptions=True)


async def test_a_login_during_the_change_is_looked_at_too(house: TestHouse) -> None:
    """What was proved before the change and entered after it."""
    account = house.accounts[ALICE]
    logins = house.app.house.directory.open_logins
    await disabled(house)
    sent = asyncio.Event()
    logins.add(Login(account=account, mechanism="PLAIN"), "imap", sent.set)
    await asyncio.wait_for(sent.wait(), 1)


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), RuntimeError("unforeseen")])
async def test_a_fault_of_the_store_sends_nobody_away(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr(open_logins.limits, "LOGIN_LOOK_GAP", 0.01)
    store, asked = house.app.store, 0
    proofs = store.login_proofs

    async def sometimes(account_ids: list[int]) -> Any:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise fault
        return await proofs(account_ids)

    monkeypatch.setattr(store, "login_proofs", sometimes)
    talk = await idling(house)
    bob = await idling(house, PASSWORDS["bob@example.test"], "bob@example.test")
    await password(house)
    assert (await talk.rest()).startswith(b"* BYE")
    assert asked >= 4
    assert b"b OK" in await bob.say("DONE")


async def test_who_has_left_is_forgotten(house: TestHouse) -> None:
    logins: OpenLogins = house.app.house.directory.open_logins
    talks = [await imap(house), await pop3(house)]
    assert len(logins) == 2
    await talks[0].say("c LOGOUT")
    talks[1].writer.close()
    for _ in range(200):
        if not len(logins):
            break
        await asyncio.sleep(0.01)
    assert len(logins) == 0
