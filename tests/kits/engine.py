"""What a kit needs of an engine under test, and a house with one account to begin with."""

from __future__ import annotations

from typing import Any, Protocol

from posthouse.ranges import Ranges
from posthouse.store.interface import AddAccount, Added, AddEmail, PutDomain, SetFlags, Store
from posthouse.store.model import Account, Content, Domain, Mailbox

NOW = 1_800_000_000


class EngineUnderTest(Protocol):
    """One store that a test may close and open again. `store` is the open one."""

    store: Store
    settings: dict[str, Any]
    """For `open`, beside the place."""

    async def reopen(self) -> Store:
        """Close (cleanly) and open again."""
        ...

    async def settle(self) -> None:
        """Wait until upkeep that was due is done (sweeping, deriving)."""
        ...


class Desk:
    """A store with one account, and short ways to say what tests say often."""

    def __init__(self, engine: EngineUnderTest, account: Account) -> None:
        self.engine = engine
        self.account = account
        self.id = account.account_id

    @property
    def store(self) -> Store:
        return self.engine.store

    async def box(self, name: str = "INBOX") -> Mailbox:
        found = await self.store.mailbox(self.id, name)
        assert found is not None
        return found

    def message(self, mailbox: Mailbox, text: str = "hello", **more: object) -> AddEmail:
        content = Content.of(f"Subject: {text}\r\n\r\n{text}\r\n".encode())
        values = {"content": content, "received_at": NOW, **more}
        return AddEmail(account_id=self.id, mailbox_id=mailbox.mailbox_id, **values)  # type: ignore[arg-type]

    async def add(self, mailbox: Mailbox, *texts: str, **more: object) -> list[Added]:
        return await self.store.commit(*(self.message(mailbox, text, **more) for text in texts))

    async def flag(self, mailbox: Mailbox, uids: str, *flags: str, action: str = "add") -> Ranges:
        done = await self.store.apply(
            SetFlags(
                account_id=self.id,
                mailbox_id=mailbox.mailbox_id,
                uids=Ranges.parse(uids),
                action=action,
                flags=frozenset(flags),
            )
        )
        return done.changed


async def furnish(engine: EngineUnderTest, address: str = "ann@example.test", **more: object) -> Desk:
    """A domain with one account."""
    domain = address.partition("@")[2]
    if domain not in {each.name for each in await engine.store.domains()}:
        await engine.store.apply(PutDomain(domain=Domain(name=domain), new=True))
    account = await engine.store.apply(
        AddAccount(address=address, password="", created_at=NOW, **more)  # type: ignore[arg-type]
    )
    return Desk(engine, account)
