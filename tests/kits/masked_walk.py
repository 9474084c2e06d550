"""A masked address in a whole house, by real sockets: made by JMAP, written to by SMTP, switched off, removed."""

from __future__ import annotations

import asyncio
import smtplib
from typing import Any

import httpx

from tests.house import TestHouse

URN = "https://www.fastmail.com/dev/maskedemail"


class Person:
    """Somebody with a password manager and a mail program."""

    def __init__(self, house: TestHouse, name: str, password: str) -> None:
        self.house = house
        self.address = f"{name}@example.test"
        self._password = password
        self.account = f"A{house.accounts[self.address].account_id}"

    async def ask(self, method: str, account: str = "", **arguments: Any) -> dict[str, Any]:
        """One method; the answer's arguments, also of an error."""
        call = [method, {"accountId": account or self.account} | arguments, "0"]
        using = [URN, *(f"urn:ietf:params:jmap:{name}" for name in ("core", "mail", "submission"))]
        auth = (self.address, self._password)
        base = f"http://127.0.0.1:{self.house.port('http')}"
        async with httpx.AsyncClient(base_url=base, auth=auth, timeout=20) as http:
            answer = (await http.post("/jmap/", json={"using": using, "methodCalls": [call]})).json()
        found: dict[str, Any] = answer["methodResponses"][0][1]
        return found

    async def masked(self, **wish: Any) -> dict[str, Any]:
        """Make one."""
        made: dict[str, Any] = (await self.ask("MaskedEmail/set", create={"m": wish}))["created"]["m"]
        return made

    async def state(self, name: str) -> tuple[Any, Any]:
        """(state, lastMessageAt)."""
        (found,) = (await self.ask("MaskedEmail/get", ids=[name]))["list"]
        return found["state"], found["lastMessageAt"]

    async def change(self, name: str, **patch: Any) -> None:
        """Change one; it must be allowed."""
        answer = await self.ask("MaskedEmail/set", update={name: patch})
        assert name in answer["updated"], answer

    async def identities(self) -> list[str]:
        """The addresses of its identities."""
        return [each["email"] for each in (await self.ask("Identity/get"))["list"]]

    async def has(self, subject: str) -> list[str]:
        """The roles of the mailboxes in which a message is."""
        found = await self.ask("Email/query", filter={"subject": subject})
        emails = (await self.ask("Email/get", ids=found["ids"], properties=["mailboxIds"]))["list"]
        boxes = (await self.ask("Mailbox/get", properties=["role"]))["list"]
        roles = {box["id"]: box["role"] for box in boxes}
        return [roles[box] for email in emails for box in email["mailboxIds"]]

    async def writes_as(self, sender: str) -> int:
        """Log in to send; the reply code to MAIL."""

        def run() -> int:
            with smtplib.SMTP("127.0.0.1", self.house.port("submission"), timeout=20) as smtp:
                smtp.login(self.address, self._password)
                code, _ = smtp.mail(sender)
                return code

        return await asyncio.to_thread(run)


async def stranger_writes(house: TestHouse, subject: str, *recipients: str) -> str:
    """The last reply: to RCPT when it is refused, else to the text."""

    def run() -> str:
        with smtplib.SMTP("127.0.0.1", house.port("smtp"), timeout=20) as smtp:
            text = f"From: shop@elsewhere.test\r\nTo: {', '.join(recipients)}\r\nSubject: {subject}\r\n\r\nBuy!\r\n"
            try:
                refused = smtp.sendmail("shop@elsewhere.test", recipients, text)
            except smtplib.SMTPRecipientsRefused as fault:
                refused = fault.recipients
            return " ".join(f"{code} {said.decode()}" for code, said in refused.values()) or "250"

    return await asyncio.to_thread(run)


async def walk(house: TestHouse) -> None:
    """All of it."""
    alice, bob = Person(house, "alice", "wonderland"), Person(house, "bob", "builder")
    made = await alice.masked(forDomain="https://shop.test", emailPrefix="shop")
    name, address = made["id"], made["email"]
    assert address.startswith("shop.") and address.endswith("@example.test")
    assert await alice.state(name) == ("pending", None)
    assert await stranger_writes(house, "first", address.upper()) == "250"
    state, last = await alice.state(name)
    assert (state, last is not None) == ("enabled", True)
    assert await alice.has("first") == ["inbox"]
    await _nobody_elses(alice, bob, name, address)
    await alice.change(name, state="disabled", description="Enough")
    assert await stranger_writes(house, "second", address) == "250"
    assert await alice.has("second") == ["trash"]
    assert await stranger_writes(house, "both", address, alice.address) == "250"
    assert await alice.has("both") == ["inbox"]
    await alice.change(name, state="deleted")
    assert (await stranger_writes(house, "third", address)).startswith("550 5.1.1")
    assert await alice.writes_as(address) == 553
    await alice.change(name, state="enabled")
    assert await stranger_writes(house, "fourth", address) == "250"
    await _its_identities_go(alice, name, address)
    assert (await stranger_writes(house, "fifth", address)).startswith("550 5.1.1")
    assert (await alice.ask("MaskedEmail/get", ids=[name]))["notFound"] == [name]
    assert await alice.has("third") == await alice.has("fifth") == await bob.has("first") == []


async def _nobody_elses(alice: Person, bob: Person, name: str, address: str) -> None:
    assert await alice.writes_as(address) == 250
    assert await bob.writes_as(address) == 553
    assert (await bob.ask("MaskedEmail/get"))["list"] == []
    assert (await bob.ask("MaskedEmail/get", account=alice.account))["type"] == "accountNotFound"
    assert name in (await bob.ask("MaskedEmail/set", destroy=[name]))["notDestroyed"]
    assert name in (await bob.ask("MaskedEmail/set", update={name: {"state": "deleted"}}))["notUpdated"]
    assert (await alice.state(name))[0] == "enabled"


async def _its_identities_go(alice: Person, name: str, address: str) -> None:
    """It is removed, and nothing is left that would write as it."""
    other = (await alice.masked(state="enabled"))["email"]
    for email in (address, address.upper(), other, "*@example.test"):
        answer = await alice.ask("Identity/set", create={"i": {"email": email, "name": "Lamps"}})
        assert (answer["created"] or {}).keys() == {"i"} or email.startswith("*"), answer
    before = (await alice.ask("Identity/get", ids=[]))["state"]
    known = await alice.identities()
    assert (await alice.ask("MaskedEmail/set", destroy=[name]))["destroyed"] == [name]
    assert await alice.identities() == [each for each in known if each.lower() != address]
    assert len((await alice.ask("Identity/changes", sinceState=before))["destroyed"]) == 2
