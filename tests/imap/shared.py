"""Two people in one house: alice shares by IMAP, bob looks at what she shares."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.house import PASSWORDS, TestHouse
from tests.imap.conftest import Client

ALICE, BOB = "alice@example.test", "bob@example.test"
THERE = f"Other Users/{ALICE}"
ALL_GIVEN = "lrswikxte"
"""Every right that can be given."""


class Person(Client):
    """A client that has logged in; commands are text."""

    async def ask(self, command: str) -> list[str]:
        """The lines of the answer, the tagged one last."""
        return [line.decode().removesuffix("\r\n") for line in await self.command(command.encode())]

    async def ok(self, command: str) -> list[str]:
        """The untagged lines of an answer that must be OK."""
        answer = await self.ask(command)
        assert answer[-1].startswith("t OK"), answer
        return answer[:-1]

    async def no(self, command: str) -> str:
        """The response code of an answer that must be NO, without untagged lines."""
        answer = await self.ask(command)
        assert answer[-1].startswith("t NO"), answer
        words = answer[-1].removeprefix("t NO ")
        return words[1 : words.index("]")] if words.startswith("[") else ""

    async def append(self, mailbox: str, raw: bytes, flags: str = "") -> list[str]:
        """APPEND one message; the whole answer."""
        head = f't APPEND "{mailbox}" ({flags}) {{{len(raw)}+}}\r\n'
        self.send(head.encode() + raw + b"\r\n")
        return [line.decode().removesuffix("\r\n") for line in await self.until(b"t ")]

    async def pushed(self, start: bytes) -> list[bytes]:
        """What comes by itself, up to a line that begins so."""
        return await self.until(start)


class Neighbours:
    """A house with its people."""

    def __init__(self, house: TestHouse) -> None:
        self.house = house
        self.clients: list[Client] = []

    async def person(self, address: str) -> Person:
        """Another client of somebody's."""
        port = self.house.port("imap")
        client = Person(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))
        self.clients.append(client)
        assert (await client.line()).startswith(b"* OK ")
        await client.ok(f"LOGIN {address} {PASSWORDS[address]}")
        return client

    def number(self, address: str) -> int:
        """An account's number."""
        return self.house.accounts[address].account_id

    async def state(self, addresses: Iterable[str] = (ALICE, BOB)) -> list[object]:
        """Everything that a command could change: mailboxes with counts, flags, subscriptions, grants."""
        store = self.house.app.store
        found: list[object] = []
        for address in addresses:
            number = self.number(address)
            for box in await store.mailboxes(number):
                index = await store.index(number, box.mailbox_id)
                found.append((box, bytes(index.flags), bytes(index.uids)))
            found.append(await store.subscriptions(number))
            found.append([item.data for item in await store.items(number, "Grant")])
        return found

    def close(self) -> None:
        """Hang up."""
        for client in self.clients:
            client.writer.close()


async def shared_club(people: Neighbours, rights: str = "lr", count: int = 3) -> tuple[Person, Person]:
    """alice with a mailbox Club of some messages, and bob who has these rights to it."""
    alice, bob = await people.person(ALICE), await people.person(BOB)
    await alice.ok("CREATE Club")
    await people.house.fill(ALICE, count, mailbox="Club")
    if rights:
        await alice.ok(f"SETACL Club {BOB} {rights}")
    return alice, bob
