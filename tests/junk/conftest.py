"""A whole house with the junk filter, strangers who write to it, and people who sort their mail by IMAP."""

from __future__ import annotations

import asyncio
import imaplib
import smtplib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest_asyncio

from posthouse.config import Dns
from tests.house import PASSWORDS, TestHouse

ALICE = "alice@example.test"
BOB = "bob@example.test"


def letter(sender: str, subject: str, text: str = "", **fields: str) -> bytes:
    """A message as an ordinary program writes it."""
    lines = [
        f"From: {sender}",
        f"To: {ALICE}",
        f"Subject: {subject}",
        "Date: Mon, 2 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{abs(hash((sender, subject, text)))}@elsewhere.test>",
        *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + text + "\r\n").encode()


class JunkHouse:
    """A TestHouse with short ways to say what these tests say often."""

    def __init__(self, house: TestHouse) -> None:
        self.house = house
        self.store = house.app.store
        self.alice = house.accounts[ALICE]
        self.junk = house.app.house.junk

    async def comes(
        self, raw: bytes, sender: str = "eve@elsewhere.test", to: tuple[str, ...] = (ALICE,)
    ) -> str:
        """A stranger's message; what port 25 answers."""

        def send() -> str:
            with smtplib.SMTP("127.0.0.1", self.house.port("smtp")) as client:
                client.ehlo("mail.elsewhere.test")
                client.mail(sender)
                for each in to:
                    client.rcpt(each)
                code, text = client.data(raw)
            return f"{code} {text.decode()}"

        return await asyncio.to_thread(send)

    async def by_imap(self, act: Callable[[imaplib.IMAP4], Any], user: str = ALICE) -> Any:
        """What a person does with an IMAP client."""

        def run() -> Any:
            with imaplib.IMAP4("127.0.0.1", self.house.port("imap")) as client:
                client.login(user, PASSWORDS[user])
                return act(client)

        result = await asyncio.to_thread(run)
        await self.junk.trainer.settle()
        return result

    async def total(self, mailbox: str = "INBOX", user: str = ALICE) -> int:
        """How many messages a mailbox has; 0 when there is none."""
        found = await self.store.mailbox(self.house.accounts[user].account_id, mailbox)
        return found.total if found is not None else 0

    async def verdict(self, mailbox: str = "INBOX", user: str = ALICE) -> dict[str, Any]:
        """The verdict on the latest message of a mailbox."""
        account_id = self.house.accounts[user].account_id
        found = await self.store.mailbox(account_id, mailbox)
        assert found is not None
        index = await self.store.index(account_id, found.mailbox_id)
        (data,) = await self.store.verdict(account_id, [index.email_ids[-1]])
        assert data is not None
        decoded: dict[str, Any] = msgspec.json.decode(data)
        return decoded

    async def checks(self, mailbox: str = "INBOX") -> dict[str, float]:
        """The weights of the latest verdict."""
        return {one["check"]: one.get("weight", 0.0) for one in (await self.verdict(mailbox))["checks"]}

    async def facts(self, mailbox: str = "INBOX") -> dict[str, str]:
        """The facts of the latest verdict."""
        found = (await self.verdict(mailbox))["facts"]
        return {one["fact"]: one.get("of") or one.get("value", "") for one in found}


async def open_house(folder: Path, **changes: object) -> JunkHouse:
    """A house whose name servers are nowhere: nothing is asked of the internet."""
    changes.setdefault("dns", Dns(servers=("127.0.0.1:9",), timeout=0.05))
    return JunkHouse(await TestHouse.open(folder, **changes))


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[JunkHouse]:
    """The house as it is without any configuration of junk."""
    made = await open_house(tmp_path)
    yield made
    await made.house.close()
