"""Our own capability: what an account's owner may do, and what a program with a password of its own may not."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pyotp
import pytest

from posthouse.jmap.capabilities import OWN
from tests.house import TestHouse
from tests.web.browser import Browser, Page

USING = ["urn:ietf:params:jmap:core", OWN]
PASSWORD = "wonderland"


class Owner(Browser):
    """A browser that is logged in, and calls methods."""

    account_id = ""

    async def enter(self, address: str = "alice@example.test", password: str = PASSWORD) -> Owner:
        assert (await self.sign_in(address, password)).status == 303
        session = msgspec.json.decode((await self.get("/.well-known/jmap")).text)
        (self.account_id,) = session["accounts"]
        return self

    async def call(self, name: str, /, **arguments: Any) -> Any:
        kind, answer = await self.answer(name, **arguments)
        assert kind == name, answer
        return answer

    async def error(self, name: str, /, **arguments: Any) -> str:
        kind, answer = await self.answer(name, **arguments)
        assert kind == "error", answer
        return str(answer["type"])

    async def answer(self, name: str, /, **arguments: Any) -> tuple[str, Any]:
        call = [name, {"accountId": self.account_id} | arguments, "0"]
        page = await self.ask({"using": USING, "methodCalls": [call]})
        assert page.status == 200, page.text
        return tuple(msgspec.json.decode(page.text)["methodResponses"][0][:2])

    async def ask(self, request: Any, **fields: str) -> Page:
        kind = {"content_type": "application/json"}
        return await self.post("/jmap/", msgspec.json.encode(request), **(kind | fields))


async def session_status(browser: Browser) -> int:
    return (await browser.get("/.well-known/jmap")).status


async def test_sessions_are_listed_and_revoked(house: TestHouse) -> None:
    here, there = await Owner(house).enter(), await Owner(house).enter()
    sessions = (await here.call("Security/get"))["sessions"]
    assert [s["current"] for s in sessions] == [True, False]
    assert sessions[0]["lastPeer"] == "127.0.0.1"
    gone = await here.call("WebSession/destroy", ids=[sessions[1]["id"], "C999", "x"])
    assert gone["destroyed"] == [sessions[1]["id"]]
    assert await session_status(there) == 401
    assert await session_status(here) == 200


async def test_sessions_of_others_are_out_of_reach(house: TestHouse) -> None:
    alice, bob = await Owner(house).enter(), await Owner(house).enter("bob@example.test", "builder")
    theirs = (await bob.call("Security/get"))["sessions"][0]["id"]
    assert (await alice.call("WebSession/destroy", ids=[theirs]))["destroyed"] == []
    alice.account_id = bob.account_id
    assert await alice.error("Security/get") == "accountNotFound"
    assert await session_status(bob) == 200


async def test_a_new_password_logs_others_out(house: TestHouse) -> None:
    here, there = await Owner(house).enter(), await Owner(house).enter()
    assert (
        await here.error("Security/changePassword", password="guess", newPassword="x" * 9) == "wrongPassword"
    )
    assert (
        await here.error("Security/changePassword", password=PASSWORD, newPassword="short")
        == "invalidArguments"
    )
    answer = await here.call("Security/changePassword", password=PASSWORD, newPassword="looking-glass")
    assert answer["sessionsEnded"] == 1
    assert await session_status(there) == 401
    assert await session_status(here) == 200
    await Owner(house).enter(password="looking-glass")
    assert (await Browser(house).sign_in("alice@example.test", PASSWORD)).status == 401


async def test_app_passwords_are_shown_once(house: TestHouse) -> None:
    owner = await Owner(house).enter()
    assert await owner.error("AppPassword/create", password="no", name="x") == "wrongPassword"
    assert (
        await owner.error("AppPassword/create", password=PASSWORD, name="x", scope=["ftp"])
        == "invalidArguments"
    )
    made = await owner.call("AppPassword/create", password=PASSWORD, name="Phone", scope=["jmap"])
    listed = (await owner.call("Security/get"))["appPasswords"]
    assert [(p["id"], p["name"], p["scope"]) for p in listed] == [(made["id"], "Phone", ["jmap"])]
    assert made["password"] not in str(listed)
    token = base64.b64encode(f"alice@example.test:{made['password']}".encode()).decode()
    program = Owner(house)
    program.account_id = owner.account_id
    call = ["Security/get", {"accountId": owner.account_id}, "0"]
    page = await program.ask({"using": USING, "methodCalls": [call]}, authorization=f"Basic {token}")
    assert '"forbidden"' in page.text, "a program's password manages no passwords"
    await owner.call("AppPassword/destroy", ids=[made["id"]])
    page = await program.ask({"using": USING, "methodCalls": [call]}, authorization=f"Basic {token}")
    assert page.status == 401


async def test_tokens(house: TestHouse) -> None:
    owner = await Owner(house).enter()
    made = await owner.call("ApiToken/create", password=PASSWORD, name="script", scope=["jmap"])
    program = Browser(house)
    authorization = f"Bearer {made['token']}"
    assert (await program.get("/.well-known/jmap", authorization=authorization)).status == 200
    (listed,) = (await owner.call("Security/get"))["tokens"]
    assert (listed["name"], listed["scope"]) == ("script", ["jmap"])
    await owner.call("ApiToken/destroy", ids=[made["id"]])
    assert (await program.get("/.well-known/jmap", authorization=authorization)).status == 401


async def test_the_second_factor_from_beginning_to_end(house: TestHouse) -> None:
    owner = await Owner(house).enter()
    assert await owner.error("SecondFactor/begin", password="no") == "wrongPassword"
    begun = await owner.call("SecondFactor/begin", password=PASSWORD)
    assert begun["uri"].startswith("otpauth://totp/")
    assert begun["qr"].startswith("<svg")
    assert (await owner.call("Security/get"))["secondFactor"] is False, "not before its first code"
    assert await owner.error("SecondFactor/confirm", code="000") == "wrongCode"
    totp = pyotp.TOTP(begun["secret"])
    codes = (await owner.call("SecondFactor/confirm", code=totp.now()))["recoveryCodes"]
    shown = await owner.call("Security/get")
    assert (shown["secondFactor"], shown["recoveryCodesLeft"]) == (True, len(codes))
    assert await owner.error("SecondFactor/begin", password=PASSWORD) == "conflict"
    fresh = (await owner.call("SecondFactor/newRecoveryCodes", password=PASSWORD))["recoveryCodes"]
    assert not set(fresh) & set(codes)
    await owner.call("SecondFactor/end", password=PASSWORD)
    assert (await owner.call("Security/get"))["secondFactor"] is False
    await Owner(house).enter()


async def test_client_setup(house: TestHouse) -> None:
    found = await (await Owner(house).enter()).call("ClientSetup/get")
    protocols = ["imap", "imap", "pop3", "pop3", "smtp", "smtp", "managesieve"]
    assert [s["protocol"] for s in found["services"]] == protocols
    assert found["profileUrl"].endswith("/apple.mobileconfig?address=alice%40example.test&name=")
    assert found["profileQr"].startswith("<svg")


async def test_preferences_are_one_for_all_devices(house: TestHouse) -> None:
    here, there = await Owner(house).enter(), await Owner(house).enter()
    await here.call("Preferences/set", update={"locale": "zh-CN", "keys": {"single": False}})
    await here.call("Preferences/set", update={"locale": None, "theme": "dark"})
    assert (await there.call("Preferences/get"))["preferences"] == {
        "keys": {"single": False},
        "theme": "dark",
    }
    assert await here.error("Preferences/set", update={"x": "y" * 70_000}) == "tooLarge"


@pytest.mark.parametrize("name", ["Security/get", "Journey/get", "Preferences/set"])
async def test_the_capability_must_be_named(house: TestHouse, name: str) -> None:
    owner = await Owner(house).enter()
    page = await owner.ask(
        {"using": USING[:1], "methodCalls": [[name, {"accountId": owner.account_id}, "0"]]}
    )
    assert '"unknownMethod"' in page.text


async def test_a_journey_is_shown_to_its_sender_alone(house: TestHouse) -> None:
    import asyncio
    import smtplib

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", house.port("submission")) as client:
            client.login("alice@example.test", PASSWORD)
            text = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: x\r\n\r\nHello\r\n"
            client.sendmail("alice@example.test", ["bob@example.test"], text)

    await asyncio.to_thread(send)
    alice, bob = await Owner(house).enter(), await Owner(house).enter("bob@example.test", "builder")
    (row,) = (await alice.call("Journey/list"))["list"]
    (story,) = (await alice.call("Journey/get", traceId=row["traceId"]))["list"]
    (recipient,) = story["recipients"]
    assert (recipient["address"], recipient["state"]) == ("bob@example.test", "delivered")
    assert await bob.error("Journey/get", traceId=row["traceId"]) == "notFound"
    assert (await bob.call("Journey/list"))["list"] == []
