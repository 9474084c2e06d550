"""A house before which filters stand, and short ways to send it mail."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from posthouse.config import Dns, Junk, Milter
from tests.house import PASSWORDS, TestHouse

ALICE, BOB = "alice@example.test", "bob@example.test"
EVE = "eve@elsewhere.test"
RAW = (
    b"From: Eve <eve@elsewhere.test>\r\nTo: alice@example.test\r\nSubject: hello\r\n"
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@elsewhere.test>\r\n"
    b"X-Folded: one\r\n\ttwo\r\n\r\nThe text.\r\n"
)


class Filtered:
    """A whole house, and what tests of filters ask of it."""

    def __init__(self, house: TestHouse) -> None:
        self.house = house
        self.store = house.app.store

    async def comes(
        self, raw: bytes = RAW, *to: str, sender: str = EVE, door: str = "smtp"
    ) -> list[tuple[int, str]]:
        """Send; the replies to the text: one, or over LMTP one for each recipient."""

        def send() -> list[tuple[int, str]]:
            kind = smtplib.LMTP if door == "lmtp" else smtplib.SMTP
            with kind("127.0.0.1", self.house.port(door), local_hostname="mail.elsewhere.test") as client:
                client.ehlo()
                if door == "submission":
                    client.starttls()
                    client.login(sender, PASSWORDS[sender])
                client.mail(sender)
                for each in to or (ALICE,):
                    client.rcpt(each)
                found = [client.data(raw)]
                if door == "lmtp":
                    found += [client.getreply() for _ in to[1:]]
                return [(code, text.decode()) for code, text in found]

        return await asyncio.to_thread(send)

    async def messages(self, mailbox: str = "INBOX", of: str = ALICE) -> list[bytes]:
        """All messages of a mailbox, whole."""
        account = self.house.accounts[of].account_id
        found = await self.store.mailbox(account, mailbox)
        if found is None:
            return []
        index = await self.store.index(account, found.mailbox_id)
        raw = await self.store.messages(account, list(index.email_ids))
        return [one for one in raw if one is not None]

    async def arrived(self, mailbox: str = "INBOX", of: str = ALICE) -> bytes:
        """The one message of a mailbox."""
        (found,) = await self.messages(mailbox, of)
        return found

    async def story(self, address: str = EVE) -> list[tuple[str, str]]:
        """(kind, detail) of the timeline of an address."""
        await self.house.app.house.refusals.flush()
        return [(event.kind, event.detail) for event in await self.store.events(address=address)]


@asynccontextmanager
async def house_with(folder: Path, *milters: Milter, **changes: object) -> AsyncIterator[Filtered]:
    """A house with these filters; its junk filter is off unless asked for, its name servers are nowhere."""
    changes.setdefault("dns", Dns(servers=("127.0.0.1:9",), timeout=0.05))
    changes.setdefault("junk", Junk(filter="off"))
    house = await TestHouse.open(folder, milter=milters, **changes)
    try:
        yield Filtered(house)
    finally:
        await house.close()
