"""Whoever is no longer let in is sent away from open sessions, within a second and nobody else."""

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

from posthouse import limits
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
    monkeypatch.setattr(limits, "LOGIN_LOOK_GAP", 0.01)
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


# --- what ends by itself ------------------------------------------------------------------------------------


async def submission(house: TestHouse, password: str = PASSWORDS[ALICE]) -> Talk:
    talk = await Talk.open(house, "submissions", tls=client_context(False))
    talk.writer.write(b"EHLO laptop.test\r\n")
    while (await talk.line())[3:4] == b"-":
        pass
    response = base64.b64encode(f"\0{ALICE}\0{password}".encode()).decode()
    assert (await talk.say(f"AUTH PLAIN {response}")).startswith(b"235")
    return talk


async def test_sessions_end_when_their_app_password_does(house: TestHouse) -> None:
    """At its very time, not when people change the next time; whoever's has not ended stays."""
    end = int(time.time()) + 2
    ends = await call(house, "app-password.add", address=ALICE, name="one", expires_at=end)
    later = await call(house, "app-password.add", address=ALICE, name="two", expires_at=end + 1000)
    sessions = [await door(house, ends["password"]) for door in (idling, pop3, submission)]
    stays = [await idling(house, later["password"]), await idling(house)]
    said = [await talk.rest() for talk in sessions]
    assert end <= time.time() < end + slowness()
    assert said == [
        b"* BYE The login is not good any more\r\n",
        b"",
        b"421 4.7.0 The login is not good any more\r\n",
    ]
    for talk in stays:
        assert b"b OK" in await talk.say("DONE")


async def test_a_remembered_password_and_a_token_end_in_time_too(house: TestHouse) -> None:
    end = int(time.time()) + 2
    made = await call(house, "app-password.add", address=ALICE, name="one", expires_at=end)
    await (await imap(house, made["password"])).say("c LOGOUT")
    remembered = await idling(house, made["password"])
    bearers = house.app.house.directory.bearers
    _, secret = await bearers.add_token(house.accounts[ALICE], name="x", scope=("imap",), expires_at=end)
    token = await Talk.open(house, "imaps", tls=client_context(False))
    response = base64.b64encode(f"n,a={ALICE},\1auth=Bearer {secret}\1\1".encode()).decode()
    assert b"a OK" in await token.say(f"a AUTHENTICATE OAUTHBEARER {response}")
    for talk in (remembered, token):
        assert (await talk.rest()).startswith(b"* BYE")
    assert end <= time.time() < end + slowness()


@pytest.mark.parametrize("change", [password, disabled, removed])
async def test_submission_ends_with_what_it_came_with(house: TestHouse, change: Change) -> None:
    talk = await submission(house)
    assert (await talk.say(f"MAIL FROM:<{ALICE}>")).startswith(b"250")
    await change(house)
    assert await talk.rest() == b"421 4.7.0 The login is not good any more\r\n"


async def test_a_message_that_is_whole_is_answered_first(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who never heard of the 250 would send it again."""
    talk = await submission(house)
    for line in (f"MAIL FROM:<{ALICE}>", "RCPT TO:<bob@example.test>", "DATA"):
        assert (await talk.say(line))[:1] in b"23"
    here, go = asyncio.Event(), asyncio.Event()
    pipeline = house.app.house.pipeline
    accept = pipeline.accept

    async def slowly(mail: Any) -> Any:
        here.set()
        await go.wait()
        return await accept(mail)

    monkeypatch.setattr(pipeline, "accept", slowly)
    talk.writer.write(b"From: alice@example.test\r\n\r\nHello\r\n.\r\n")
    await here.wait()
    await password(house)
    await asyncio.sleep(limits.LOGIN_LOOK_GAP + 2 * limits.SENT_AWAY_TIME)
    go.set()
    said = await talk.rest()
    assert said.startswith(b"250 2.0.0")
    assert said.endswith(b"\r\n421 4.7.0 The login is not good any more\r\n")
    assert await house.total("bob@example.test") == 1


async def test_a_login_whose_end_was_put_off_stays(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser's session lives longer each time it is used; what the stream knew of it is old."""
    bearers, logins = house.app.house.directory.bearers, house.app.house.directory.open_logins
    account = house.accounts[ALICE]
    end = int(time.time()) + 2
    made, _ = await bearers.add_token(account, name="x", scope=(), expires_at=end)
    sent = asyncio.Event()
    now = end - 0.5
    monkeypatch.setattr(logins, "_wall", lambda: now)
    login = Login(account=account, mechanism="SESSION", credential_id=made.credential_id, expires_at=end - 1)
    ended = logins.add(login, "jmap", sent.set)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sent.wait(), 0.3)
    now = float(end)
    await asyncio.wait_for(sent.wait(), 5)
    assert len(logins) == 0
    ended()


async def test_a_wait_for_the_end_looks_at_the_clock_between(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a machine that slept, or whose clock was set, is not behind by as much; ten minutes are the most."""
    assert limits.LOGIN_END_STEP == 600
    monkeypatch.setattr(limits, "LOGIN_END_STEP", 0.05)
    logins = house.app.house.directory.open_logins
    now = time.time()
    monkeypatch.setattr(logins, "_wall", lambda: now)
    sent = asyncio.Event()
    end = int(now) + 10_000
    made = await call(house, "app-password.add", address=ALICE, name="one", expires_at=end)
    login = Login(
        account=house.accounts[ALICE], mechanism="PLAIN", app_password_id=made["id"], expires_at=end
    )
    logins.add(login, "imap", sent.set)
    await asyncio.sleep(0.2)
    assert not sent.is_set()
    now += 20_000
    await asyncio.wait_for(sent.wait(), 5)
