"""A store, a directory and a queue runner over real files, with a clock and a DNS that the test moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Self

from posthouse.accounts.directory import Directory
from posthouse.config import Outbound
from posthouse.inbound.deliver import Deliverer
from posthouse.inbound.mail import Mail
from posthouse.inbound.notices import Notice
from posthouse.notices import carry
from posthouse.outbound.attempt import Courier
from posthouse.outbound.dsn import Notification
from posthouse.outbound.ourselves import Ourselves
from posthouse.outbound.queue import QueueRunner
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, Enqueue, Op, PutDomain
from posthouse.store.model import Content, Domain, DomainKind, NewQueued, NewRecipient, QueuedMessage
from posthouse.store.sqlite.store import SqliteStore
from tests.fakes.clock import FakeClock
from tests.fakes.resolver import FakeResolver
from tests.outbound.conftest import MESSAGE


class Office:
    """`us.test` with the account a@us.test; `await Office.open(folder, zone, port)`."""

    store: SqliteStore
    directory: Directory
    courier: Courier
    runner: QueueRunner

    def __init__(
        self, folder: Path, zone: str, port: int, clock: FakeClock | None, **settings: object
    ) -> None:
        self.folder = folder
        self.clock = clock or FakeClock()
        self.resolver = FakeResolver(zone)
        self.settings = Outbound(port=port, **settings)  # type: ignore[arg-type]

    @classmethod
    async def open(
        cls, folder: Path, zone: str, port: int, *, clock: FakeClock | None = None, **settings: object
    ) -> Self:
        """Open the store (made at the first time) and build everything; the runner is not started."""
        office = cls(folder, zone, port, clock, **settings)
        store = await SqliteStore.open(folder / "mail.db", folder / "blobs", derive=derive, now=office.clock)
        office.store = store
        office.directory = Directory(store, wall=office.clock)
        if not await store.domains():
            await store.apply(PutDomain(domain=Domain(name="us.test"), new=True))
            await store.apply(AddAccount(address="a@us.test", password="", created_at=0))
        office.courier = Courier(
            office.settings,
            hostname="mx.us.test",
            resolver=office.resolver,
            ourselves=Ourselves(["mx.us.test"]),
            random=Random(1),
        )
        office.runner = QueueRunner(store, office.courier, carry=office.carry, clock=office.clock)
        return office

    async def close(self) -> None:
        """Stop the runner if it was started, and close."""
        await self.runner.stop()
        self.directory.close()
        await self.store.close()

    async def carry(self, notice: Notification) -> Sequence[Op[Any]]:
        """As the house wires it."""
        deliverer = Deliverer(self.store, self.directory, _no_notices)
        return await carry(notice, "mx.us.test", deliverer.operations)

    async def backup_for(self, name: str) -> None:
        """Be backup MX for a domain."""
        await self.store.apply(PutDomain(domain=Domain(name=name, kind=DomainKind.BACKUP), new=True))

    async def enqueue(self, *addresses: str, content: bytes = MESSAGE, **changes: object) -> int:
        """Queue a message."""
        recipients = tuple(
            NewRecipient(address=address, next_attempt_at=self.clock()) for address in addresses
        )
        fields = {
            "trace_id": f"t-{addresses[0]}",
            "reverse_path": "a@us.test",
            "recipients": recipients,
            "created_at": self.clock(),
        }
        message = NewQueued(**(fields | changes))  # type: ignore[arg-type]
        return await self.store.apply(Enqueue(message=message, content=Content.of(content)))

    async def settled(self) -> None:
        """Run the runner once over all that is due now, until nothing is due or under way."""
        while True:
            wait = await self.runner._take()
            if not self.runner._running and wait != 0.0:
                return
            for task in list(self.runner._running):
                await task

    async def waiting(self) -> dict[str, float]:
        """Who waits in the queue, and for how many seconds yet."""
        found: dict[str, float] = {}
        for message in await self.store.queue():
            for one in message.recipients:
                found[one.address] = one.next_attempt_at - self.clock()
        return found

    async def only(self) -> QueuedMessage:
        """The one message in the queue."""
        (message,) = await self.store.queue()
        return message

    async def inbox(self, address: str = "a@us.test") -> list[bytes]:
        """The messages that somebody here has."""
        account = await self.store.account(address)
        assert account is not None
        mailbox = await self.store.mailbox(account.account_id, "INBOX")
        assert mailbox is not None
        index = await self.store.index(account.account_id, mailbox.mailbox_id)
        found = await self.store.messages(account.account_id, list(index.email_ids))
        return [raw for raw in found if raw is not None]

    async def story(self, trace_id: str) -> list[str]:
        """The timeline's kinds."""
        return [event.kind for event in await self.store.events(trace_id=trace_id)]


async def _no_notices(_mail: Mail, _notices: tuple[Notice, ...]) -> None:
    raise AssertionError("a notice brings forth no notice")
