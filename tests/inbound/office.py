"""A whole house whose mail is filtered by scripts, and short ways to say what tests say often."""

from __future__ import annotations

import asyncio
import imaplib
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from posthouse.operations.timeline import Timeline
from posthouse.store.interface import Enqueue, Op
from tests.house import PASSWORDS, TestHouse

ALICE, BOB = "alice@example.test", "bob@example.test"
RAW = (
    "From: Eve <eve@elsewhere.test>\r\nTo: alice@example.test\r\nSubject: {0}\r\n"
    "Message-ID: <{0}@elsewhere.test>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\nAbout {0}.\r\n"
)


class Office:
    """A whole house, and short ways to say what tests say often."""

    def __init__(self, house: TestHouse) -> None:
        self.house = house

    @property
    def store(self):  # type: ignore[no-untyped-def]
        return self.house.app.store

    @asynccontextmanager
    async def queueing(self) -> AsyncIterator[list[Enqueue]]:
        """What is queued meanwhile, seen in its commit: by the time that one looks into the queue, it may be tried."""
        store, queued = self.store, []

        async def commit(*ops: Op[Any]) -> list[Any]:
            queued.extend(op for op in ops if isinstance(op, Enqueue))
            return await type(store).commit(store, *ops)  # type: ignore[no-any-return]

        store.commit = commit
        try:
            yield queued
        finally:
            del store.commit

    async def put(self, name: str, script: str, of: str = ALICE) -> None:
        """Another script of an account."""
        await self.house.app.house.sieve_scripts.put(
            self.house.accounts[of].account_id, name, script.encode()
        )

    async def filter(self, script: str, of: str = ALICE) -> None:
        """An account's active script."""
        scripts = self.house.app.house.sieve_scripts
        number = self.house.accounts[of].account_id
        await scripts.put(number, "main", script.encode())
        await scripts.activate(number, "main")

    async def send(
        self, raw: str = RAW.format("hello"), *to: str, door: str = "smtp", sender: str = "eve@elsewhere.test"
    ):  # type: ignore[no-untyped-def]
        """Send by a door; what the server refused, by recipient, or its reply to all."""

        def run():  # type: ignore[no-untyped-def]
            kind = smtplib.LMTP if door == "lmtp" else smtplib.SMTP
            with kind("127.0.0.1", self.house.port(door), local_hostname="elsewhere.test") as client:
                if door == "submission":
                    client.starttls()
                    client.login(sender, PASSWORDS[sender])
                try:
                    return client.sendmail(sender, list(to) or [ALICE], raw.encode())
                except smtplib.SMTPDataError as refused:
                    return refused.smtp_code, refused.smtp_error.decode()
                except smtplib.SMTPRecipientsRefused as refused:
                    return refused.recipients

        return await asyncio.to_thread(run)

    async def mailbox(self, name: str, of: str = ALICE) -> list[tuple[str, bytes]]:
        """(flags, message) of each message of a mailbox, as IMAP shows them."""

        def run() -> list[tuple[str, bytes]]:
            with imaplib.IMAP4("127.0.0.1", self.house.port("imap")) as client:
                client.login(of, PASSWORDS[of])
                status, count = client.select(f'"{name}"', readonly=True)
                if status != "OK" or count == [b"0"]:
                    return []
                _, data = client.fetch("1:*", "(FLAGS BODY.PEEK[])")
                return [(each[0].decode(), each[1]) for each in data if isinstance(each, tuple)]

        return await asyncio.to_thread(run)

    async def imap(self, *words: str, of: str = ALICE) -> list[bytes]:
        """What one IMAP command answers without a tag, line by line."""

        def run() -> list[bytes]:
            with imaplib.IMAP4("127.0.0.1", self.house.port("imap")) as client:
                client.login(of, PASSWORDS[of])
                client.send(f"x {' '.join(words)}\r\n".encode())
                lines = []
                while not (line := client.readline()).startswith(b"x "):
                    lines.append(line.strip())
                assert line.startswith(b"x OK"), line
                return lines

        return await asyncio.to_thread(run)

    async def subjects(self, name: str, of: str = ALICE) -> list[str]:
        found = await self.mailbox(name, of)
        return [raw.partition(b"\r\nSubject: ")[2].partition(b"\r\n")[0].decode() for _, raw in found]

    async def log(self, address: str = ALICE) -> list[str]:
        """What scripts did, as `message log` tells it."""
        stories = await Timeline(self.store).message_log(what=address)
        return [
            f"{row.kind}: {row.detail}" for story in stories for row in story.events if row.kind == "filtered"
        ]
