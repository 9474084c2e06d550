"""Looked-up domains, accounts and aliases in memory (also that somebody is unknown), forgotten at any change.

A lookup that was under way during a change gives its answer but does not keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

from posthouse import limits
from posthouse.store.credentials import Credential, CredentialKind, LoginProofs
from posthouse.store.mailing_lists import MailingList
from posthouse.store.masked_model import MaskedAddress
from posthouse.store.memory.cache import Recent
from posthouse.store.memory.changes import RecipientKnown
from posthouse.store.memory.readers import Readers
from posthouse.store.model import (
    Account,
    Alias,
    AppPassword,
    Domain,
)
from posthouse.store.sql import credentials, mailing_lists, masked, people
from posthouse.store.sql.database import Database

T = TypeVar("T")


class ReaderOfRows(Protocol):
    """A reader with a connection."""

    @property
    def db(self) -> Database:
        """The connection."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


Rdr = TypeVar("Rdr", bound=ReaderOfRows)


class PeopleCache(Generic[Rdr]):
    """The cache. Event loop's thread only."""

    def __init__(self, readers: Readers[Rdr]) -> None:
        self._readers = readers
        self._known: Recent[Hashable, Any] = Recent(limits.PEOPLE_CACHED)
        self._generation = 0
        self._watchers: list[Callable[[], None]] = []

    async def domains(self) -> tuple[Domain, ...]:
        """All domains, by name."""
        return await self._look_up("domains", lambda reader: people.read_domains(reader.db))

    async def accounts(self, domain: str) -> tuple[Account, ...]:
        """All accounts (of a domain); not kept, there may be many."""
        return await self._readers.run(lambda reader: people.read_accounts(reader.db, domain))

    async def account(self, address: str) -> Account | None:
        """One account by address."""
        return await self._look_up(
            ("account", address), lambda reader: people.read_account(reader.db, address)
        )

    async def account_by_id(self, account_id: int) -> Account | None:
        """One account by number."""
        return await self._look_up(
            ("number", account_id), lambda reader: people.read_account_by_id(reader.db, account_id)
        )

    async def aliases(self, domain: str) -> tuple[Alias, ...]:
        """All aliases (of a domain); not kept, there may be many."""
        return await self._readers.run(lambda reader: people.read_aliases(reader.db, domain))

    async def alias(self, address: str) -> Alias | None:
        """One alias by address."""
        return await self._look_up(("alias", address), lambda reader: people.read_alias(reader.db, address))

    async def mailing_lists(self, domain: str) -> tuple[MailingList, ...]:
        """All lists (of a domain); not kept: how often copies came back changes without notice."""
        return await self._readers.run(lambda reader: mailing_lists.read_all(reader.db, domain))

    async def mailing_list(self, address: str) -> MailingList | None:
        """One list by address; not kept, as above, and the directory keeps it."""
        return await self._readers.run(lambda reader: mailing_lists.read_one(reader.db, address))

    async def masked_address(self, address: str) -> MaskedAddress | None:
        """One masked address, also one that was removed."""
        return await self._look_up(("masked", address), lambda reader: masked.read(reader.db, address))

    async def app_passwords(self, account_id: int) -> tuple[AppPassword, ...]:
        """An account's app passwords; not kept: `last_used_at` changes without notice."""
        return await self._readers.run(lambda reader: people.read_app_passwords(reader.db, account_id))

    async def credentials(self, account_id: int) -> tuple[Credential, ...]:
        """An account's credentials; not kept, as above."""
        return await self._readers.run(lambda reader: credentials.read_of_account(reader.db, account_id))

    async def credential(self, kind: CredentialKind, key: bytes) -> Credential | None:
        """One credential by its key; not kept: strangers may ask for any."""
        return await self._readers.run(lambda reader: credentials.read_by_key(reader.db, kind, key))

    async def login_proofs(self, account_ids: Sequence[int]) -> dict[int, LoginProofs]:
        """What lets somebody in to these accounts; not kept, as above."""
        return await self._readers.run(lambda reader: people.read_login_proofs(reader.db, account_ids))

    async def known_recipient(self, address: str) -> tuple[bool, int] | None:
        """(valid, when learnt) for a backup domain's recipient."""
        return await self._look_up(
            ("recipient", address), lambda reader: people.read_known_recipient(reader.db, address)
        )

    async def _look_up(self, key: Hashable, read: Callable[[Rdr], T]) -> T:
        if key in self._known:
            return cast(T, self._known[key])  # each key is put with its own reader's result only
        generation = self._generation
        found = await self._readers.run(read)
        if generation == self._generation:
            self._known.put(key, found)
        return found

    def forget(self) -> None:
        """Something changed."""
        self._generation += 1
        self._known.clear()

    def learnt(self, change: RecipientKnown) -> None:
        """A backup's recipient became known."""
        self._generation += 1
        self._known.put(("recipient", change.address), (change.valid, change.at))

    def watch(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after any change of people; the result ends it."""
        self._watchers.append(heard)

        def end() -> None:
            if heard in self._watchers:
                self._watchers.remove(heard)

        return end

    def watchers(self) -> tuple[Callable[[], None], ...]:
        """Whom to call."""
        return tuple(self._watchers)
