"""The store's contract, answered from memory where it can be, else by a reading thread; the same for both engines.

What an engine adds is its parts (`Engine`) and its way of reading (`Reading`). Whatever can be answered from memory
is answered there, without suspending.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, cast

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store.account_model import States
from posthouse.store.credentials import Credential, CredentialKind, LoginProofs
from posthouse.store.interface import Op, Staging
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.mailing_lists import MailingList
from posthouse.store.masked_model import MaskedAddress
from posthouse.store.memory.engine import Ahead, Engine, Rdr, Reading
from posthouse.store.memory.judging import StoredJudgements
from posthouse.store.memory.records import Records
from posthouse.store.model import (
    EMAIL_FIELDS,
    Account,
    Alias,
    AppPassword,
    Domain,
    Event,
    Mailbox,
    QueuedMessage,
    Stored,
    Usage,
)
from posthouse.store.sql import account_reads
from posthouse.store.text_search import TextSearch

R = TypeVar("R")
P = ParamSpec("P")


class LiveStore(Records[Rdr], StoredJudgements[Rdr], ABC, Generic[Rdr]):
    """A `Store` but for `stage`. All methods run on the event loop's thread that opened it."""

    def __init__(self, engine: Engine[Rdr], reading: Reading[Rdr]) -> None:
        self._parts = engine
        self._live = engine.live
        self._readers = engine.readers
        self._foreground = engine.foreground
        self._reading = reading
        self._search: TextSearch | None = None

    async def close(self) -> None:
        """Finish what was handed in and let go of everything. A second call does nothing."""
        if self._search is not None:
            await self._search.close()
        await self._parts.close()

    async def settle(self) -> None:
        """Wait until upkeep that is due is done: sweeping, deriving, packing (tests, and before a backup)."""
        await self._parts.settle()

    def configure(self, *, default_quota: int, keep_deleted: bool) -> None:
        """From the next commit on: the quota of accounts without their own; whether deleted mail is kept for a time."""
        self._parts.configure(default_quota=default_quota, keep_deleted=keep_deleted)

    # --- writing -----------------------------------------------------------------------------------------

    async def apply(self, op: Op[R]) -> R:
        """Commit one operation."""
        return cast(R, (await self._parts.submit((op,)))[0])  # its result is of its type argument

    async def commit(self, *ops: Op[Any]) -> list[Any]:
        """Commit operations together, all or nothing; one result each, in order. Of none nothing is made durable."""
        return await self._parts.submit(ops) if ops else []

    @abstractmethod
    def stage(self) -> Staging:
        """Begin to receive a message that is too large for memory."""

    # --- mailboxes ---------------------------------------------------------------------------------------

    async def mailboxes(self, account_id: int) -> tuple[Mailbox, ...]:
        """All mailboxes, ordered by name with INBOX first."""
        view = self._live.views.cached(account_id) or await self._live.views.get(account_id)
        return view.mailboxes()

    async def mailbox(self, account_id: int, name: str) -> Mailbox | None:
        """One mailbox by its exact name (`INBOX` in any case)."""
        view = self._live.views.cached(account_id) or await self._live.views.get(account_id)
        return view.mailbox(name)

    async def subscriptions(self, account_id: int) -> frozenset[str]:
        """All subscribed names."""
        view = self._live.views.cached(account_id) or await self._live.views.get(account_id)
        return view.subscriptions

    async def keywords(self, account_id: int) -> tuple[str, ...]:
        """The account's keywords in bit order."""
        self._foreground.note()
        view = self._live.views.cached(account_id) or await self._live.views.get(account_id)
        return view.keywords

    async def usage(self, account_id: int) -> Usage:
        """What the account holds."""
        view = self._live.views.cached(account_id) or await self._live.views.get(account_id)
        return view.usage

    async def states(self, account_id: int) -> States:
        """The latest mod-sequences."""
        view = self._live.views.cached(account_id) or await self._live.views.get(account_id)
        return view.states

    def watch_account(self, account_id: int, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after any committed change to the account; the result ends it."""
        return self._live.views.watch(account_id, heard)

    # --- messages ----------------------------------------------------------------------------------------

    async def index(self, account_id: int, mailbox_id: int) -> MailboxIndex:
        """The shared live index of a mailbox. NotFound."""
        self._foreground.note()
        return await self._live.indexes.get(account_id, mailbox_id)

    async def vanished_since(self, account_id: int, mailbox_id: int, modseq: int) -> Ranges:
        """UIDs expunged after a mod-sequence; a superset when history was merged."""
        return await self._readers.run(self._reading.vanished, account_id, mailbox_id, modseq)

    async def emails(
        self, account_id: int, email_ids: Sequence[int], fields: Sequence[str]
    ) -> list[tuple[Any, ...] | None]:
        """The named columns of each email, in the order asked, one read."""
        self._foreground.note()
        _bound(email_ids)
        if not EMAIL_FIELDS.issuperset(fields):
            raise ValueError(f"no such email field among {fields}")
        if not email_ids:
            return []
        derive = self._parts.derive
        with self._foreground.serving():
            found = await self._readers.run(self._reading.emails, account_id, email_ids, fields, derive)
        if found.computed:
            self._parts.keep(found.computed)
        return found.rows

    async def stored(self, account_id: int, email_ids: Sequence[int]) -> list[Stored | None]:
        """Where the bytes of each email are."""
        self._foreground.note()
        _bound(email_ids)
        places = self._live.places
        known = {email_id: places.get((account_id, email_id)) for email_id in email_ids}
        missing = [email_id for email_id, place in known.items() if place is None]
        if missing:
            known.update((await self._fetch(account_id, missing, bytes_too=len(missing) == 1)).stored)
        return [known[email_id] for email_id in email_ids]

    async def _fetch(self, account_id: int, email_ids: list[int], *, bytes_too: bool) -> Ahead:
        """Learn where emails are, and keep that; what keeps it may be full of others' before it is looked at again."""
        ahead = await self._readers.run(self._reading.ahead, account_id, email_ids, bytes_too)
        for email_id, place in ahead.stored.items():
            self._live.places.put((account_id, email_id), place)
        for blob_id, raw in ahead.blobs.items():
            self._live.bytes.put(blob_id, raw)
        return ahead

    async def messages(self, account_id: int, email_ids: Sequence[int]) -> list[bytes | None]:
        """Whole messages, for batches of small ones; the caller bounds the sum of sizes."""
        self._foreground.note()
        _bound(email_ids)
        places = {email_id: self._live.places.get((account_id, email_id)) for email_id in email_ids}
        unknown = [email_id for email_id, place in places.items() if place is None]
        read: dict[int, bytes] = {}
        if unknown:
            ahead = await self._fetch(account_id, unknown, bytes_too=True)
            places.update(ahead.stored)
            read = ahead.blobs
        stored = [places[email_id] for email_id in email_ids]
        found: dict[int, bytes | None] = {
            place.blob_id: read.get(place.blob_id) or self._live.bytes.get(place.blob_id)
            for place in stored
            if place is not None
        }
        missing = [place for place in stored if place is not None and found[place.blob_id] is None]
        if missing:
            more = await self._readers.run(self._reading.blobs, missing)
            for blob_id, raw in more.items():
                self._live.bytes.put(blob_id, raw)
            found.update(more)
        return [_whole(place, found) for place in stored]

    async def read(self, stored: Stored, offset: int = 0, length: int | None = None) -> bytes:
        """Octets of one message from an offset; the caller bounds the length. NotFound when it is gone."""
        raw = self._live.bytes.get(stored.blob_id)
        if raw is None:
            whole = stored.size <= limits.MESSAGE_CACHE_ITEM
            if not whole:
                return await self._readers.run(self._reading.part, stored, offset, length)
            raw = await self._readers.run(self._reading.blob, stored)
            self._live.bytes.put(stored.blob_id, raw)
        message = stored.prefix + raw if stored.prefix else raw
        if offset == 0 and length is None:
            return message
        return message[offset:] if length is None else message[offset : offset + length]

    async def whole(self, stored: Stored) -> bytes:
        """A whole message, compared with what was stored. NotFound, Damaged."""
        return stored.prefix + await self._readers.run(self._reading.whole, stored)

    async def chunks(self, stored: Stored) -> AsyncIterator[bytes]:
        """A whole message in pieces of at most BLOB_CHUNK octets; the next one is read while one is used."""
        if stored.size <= limits.BLOB_CHUNK or self._live.bytes.get(stored.blob_id) is not None:
            whole = await self.read(stored)
            for start in range(0, len(whole), limits.BLOB_CHUNK):
                yield whole[start : start + limits.BLOB_CHUNK]
            return
        ahead = self._part(stored, 0)
        for start in range(limits.BLOB_CHUNK, stored.size + limits.BLOB_CHUNK, limits.BLOB_CHUNK):
            piece = await ahead
            if start < stored.size:
                ahead = self._part(stored, start)
            yield piece

    def _part(self, stored: Stored, offset: int) -> asyncio.Future[bytes]:
        return self._readers.run(self._reading.part, stored, offset, limits.BLOB_CHUNK)

    async def search_text(
        self, account_id: int, email_ids: Sequence[int], field: str, needle: str
    ) -> frozenset[int]:
        """Which of the emails contain the needle, case-insensitively, after decoding. Complete."""
        if self._search is None:
            raise StoreUnavailable("Searching texts is not set up.")
        return await self._search.matching(account_id, email_ids, field, needle)

    async def similar_words(self, account_id: int, field: str, words: Sequence[str]) -> list[list[str]]:
        """For each word those of the account's mail that look like it."""
        if self._search is None:
            raise StoreUnavailable("Searching texts is not set up.")
        return await self._search.similar(account_id, field, words)

    async def threads(self, account_id: int, email_ids: Sequence[int]) -> list[int | None]:
        """The thread of each email, decided now where it was not yet."""
        found = await self._of_rows(account_reads.threads, account_id, email_ids)
        threads = list(map(found.get, email_ids))
        if None not in threads:
            return threads
        missing = [email_id for email_id, thread in zip(email_ids, threads, strict=True) if thread is None]
        for start in range(0, len(missing), limits.DERIVE_BATCH):
            some = missing[start : start + limits.DERIVE_BATCH]
            found.update(await self._parts.decide_threads(account_id, some))
        return [found.get(email_id) for email_id in email_ids]

    async def origins(self, account_id: int, email_ids: Sequence[int]) -> list[int]:
        """The email that each of these is a copy of, or itself."""
        if not email_ids:
            return []
        found = await self._of_rows(account_reads.origins, account_id, email_ids)
        return [found.get(email_id, email_id) for email_id in email_ids]

    async def saved_dates(self, account_id: int, mailbox_id: int, uids: Sequence[int]) -> list[int | None]:
        """When each message came into this mailbox; None for one that is gone."""
        if not uids:
            return []
        found = await self._of_rows(account_reads.saved_dates, account_id, mailbox_id, uids)
        return list(map(found.get, uids))

    # --- the queue -----------------------------------------------------------------------------------------

    async def queue(
        self, *, destination: str = "", address: str = "", after: int = 0, limit: int = 1000
    ) -> list[QueuedMessage]:
        """What is queued, by number above `after`; optionally of one destination, sender or recipient."""
        return await self._readers.run(self._reading.queue, destination, address, after, limit)

    async def queued(self, queue_id: int) -> QueuedMessage | None:
        """One queued message."""
        return await self._readers.run(self._reading.queued, queue_id)

    async def next_due(self) -> float | None:
        """When the earliest waiting recipient (or expiring lease) is due; None: the queue is empty."""
        return await self._readers.run(self._reading.next_due)

    def watch_queue(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after any commit that may have made something due; the result ends it."""
        return self._live.watch_queue(heard)

    # --- people --------------------------------------------------------------------------------------------

    async def domains(self) -> tuple[Domain, ...]:
        """All domains, by name."""
        return await self._live.people.domains()

    async def accounts(self, domain: str = "") -> tuple[Account, ...]:
        """All accounts (of a domain), by address."""
        return await self._live.people.accounts(domain)

    async def account(self, address: str) -> Account | None:
        """One account by its address in lower case."""
        return await self._live.people.account(address)

    async def account_by_id(self, account_id: int) -> Account | None:
        """One account by its number."""
        return await self._live.people.account_by_id(account_id)

    async def aliases(self, domain: str = "") -> tuple[Alias, ...]:
        """All aliases (of a domain), by address."""
        return await self._live.people.aliases(domain)

    async def alias(self, address: str) -> Alias | None:
        """One alias by its address in lower case."""
        return await self._live.people.alias(address)

    async def mailing_lists(self, domain: str = "") -> tuple[MailingList, ...]:
        """All lists (of a domain), by address."""
        return await self._live.people.mailing_lists(domain)

    async def mailing_list(self, address: str) -> MailingList | None:
        """One list by its address in lower case."""
        return await self._live.people.mailing_list(address)

    async def masked_address(self, address: str) -> MaskedAddress | None:
        """One masked address, also one that was removed."""
        return await self._live.people.masked_address(address)

    async def app_passwords(self, account_id: int) -> tuple[AppPassword, ...]:
        """An account's app passwords."""
        return await self._live.people.app_passwords(account_id)

    async def credentials(self, account_id: int) -> tuple[Credential, ...]:
        """An account's sessions, tokens, second factors and passkeys, oldest first."""
        return await self._live.people.credentials(account_id)

    async def credential(self, kind: CredentialKind, key: bytes) -> Credential | None:
        """One of them by its key."""
        return await self._live.people.credential(kind, key)

    async def login_proofs(self, account_ids: Sequence[int]) -> dict[int, LoginProofs]:
        """What lets somebody in to these accounts."""
        return await self._live.people.login_proofs(account_ids)

    async def known_recipient(self, address: str) -> tuple[bool, int] | None:
        """(valid, when learnt) for a backup domain's recipient, or None."""
        return await self._live.people.known_recipient(address)

    def watch_people(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after any change to domains, accounts, aliases or app passwords; the result ends it."""
        return self._live.people.watch(heard)

    # --- the timeline ----------------------------------------------------------------------------------------

    async def events(self, *, trace_id: str = "", address: str = "", limit: int = 1000) -> list[Event]:
        """The timeline of one message, or the latest lines about an address, in time order."""
        return await self._readers.run(self._reading.events, trace_id, address, limit)


def _bound(email_ids: Sequence[int]) -> None:
    if len(email_ids) > limits.EMAILS_PER_READ:
        raise ValueError(f"more than {limits.EMAILS_PER_READ} emails in one read")


def _whole(place: Stored | None, blobs: Mapping[int, bytes | None]) -> bytes | None:
    if place is None:
        return None
    raw = blobs.get(place.blob_id)
    return None if raw is None else place.prefix + raw
