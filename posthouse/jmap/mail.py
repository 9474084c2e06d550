"""An account's mail as JMAP sees it: every email once, with its mailboxes, keywords and thread.

Over the store's live indexes. Threads never change, so they are remembered; what is counted for a mailbox is
remembered until the mailbox changes. Messages with \\Deleted are not there (RFC 8621 §4.1.1).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from posthouse import limits
from posthouse.message.body_parts import body_parts
from posthouse.message.mime import decode_parts
from posthouse.store.interface import Store
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import (
    ANSWERED,
    DELETED,
    DRAFT,
    FLAGGED,
    KEYWORD_SHIFT,
    SEEN,
    Mailbox,
    Role,
)

SYSTEM: Final = {"$seen": SEEN, "$answered": ANSWERED, "$flagged": FLAGGED, "$draft": DRAFT}
"""RFC 8621 §4.1.1: IMAP's system flags under other names."""
FLAG_OF: Final = {"$seen": "\\Seen", "$answered": "\\Answered", "$flagged": "\\Flagged", "$draft": "\\Draft"}
_READ: Final = SEEN | DRAFT | DELETED


class Standing(msgspec.Struct, frozen=True):
    """Where an email is, and what is noted of it."""

    places: tuple[tuple[int, int], ...]
    """(mailbox, UID)."""
    flags: int
    size: int
    received_at: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8621 §2."""

    total_emails: int
    unread_emails: int
    total_threads: int
    unread_threads: int


class AccountMail:
    """One account. Made by `MailCache`."""

    def __init__(self, store: Store, account_id: int) -> None:
        self._store = store
        self.account_id = account_id
        self._threads: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}
        self._counts: dict[int, tuple[object, Counts]] = {}
        self._attachments: dict[int, bool] = {}

    async def mailboxes(self) -> tuple[Mailbox, ...]:
        """All mailboxes."""
        return await self._store.mailboxes(self.account_id)

    async def state(self) -> int:
        """The latest mod-sequence of mail."""
        return (await self._store.states(self.account_id)).mail

    async def indexes(self, mailbox_ids: Iterable[int] | None = None) -> dict[int, MailboxIndex]:
        """The indexes of mailboxes (None: all), by number. NotFound."""
        if mailbox_ids is None:
            mailbox_ids = [mailbox.mailbox_id for mailbox in await self.mailboxes()]
        return {number: await self._store.index(self.account_id, number) for number in mailbox_ids}

    async def find(self, email_ids: Sequence[int]) -> dict[int, Standing]:
        """Where these emails are; those that are nowhere are left out."""
        indexes = await self.indexes()
        found: dict[int, Standing] = {}
        for email_id in email_ids:
            standing = standing_of(indexes, email_id)
            if standing is not None:
                found[email_id] = standing
        return found

    # --- keywords ------------------------------------------------------------------------------------

    async def keyword_bit(self, keyword: str) -> int:
        """The bit of a keyword, 0 when no email ever had it."""
        keyword = keyword.lower()
        if keyword in SYSTEM:
            return SYSTEM[keyword]
        for i, name in enumerate(await self._store.keywords(self.account_id)):
            if name.lower() == keyword:
                return 1 << KEYWORD_SHIFT + i
        return 0

    async def keyword_names(self) -> list[tuple[int, str]]:
        """(bit, keyword) of all, in lower case as JMAP wants them."""
        names = [(bit, name) for name, bit in SYSTEM.items()]
        for i, name in enumerate(await self._store.keywords(self.account_id)):
            names.append((1 << KEYWORD_SHIFT + i, name.lower()))
        return names

    # --- threads -------------------------------------------------------------------------------------

    async def threads(self, email_ids: Sequence[int]) -> dict[int, int]:
        """Email → thread, for at least these emails; decided and remembered where it was not yet."""
        known = self._threads
        missing = [email_id for email_id in email_ids if email_id not in known]
        if missing:
            found = await self._store.threads(self.account_id, missing)
            for email_id, thread_id in zip(missing, found, strict=True):
                if email_id in known:
                    continue  # somebody asked at the same time
                thread = email_id if thread_id is None else thread_id
                known[email_id] = thread
                self._members.setdefault(thread, []).append(email_id)
        return known

    async def all_threads(self) -> dict[int, int]:
        """The same for every email of the account."""
        for index in (await self.indexes()).values():
            await self.threads(index.email_ids)
        return self._threads

    async def members(self, thread_id: int) -> list[int]:
        """The emails of a thread that are there, by date of receipt (call `all_threads` before)."""
        indexes = await self.indexes()
        found = [
            (standing.received_at, email_id)
            for email_id in self._members.get(thread_id, ())
            if (standing := standing_of(indexes, email_id)) is not None
        ]
        return [email_id for _, email_id in sorted(found)]

    @property
    def remembered(self) -> int:
        """Emails whose threads are remembered."""
        return len(self._threads)

    async def with_attachment(self, email_ids: Sequence[int]) -> set[int]:
        """Those of these emails that have attachments (RFC 8621 §4.1.4); remembered."""
        missing = [email_id for email_id in email_ids if email_id not in self._attachments]
        for start in range(0, len(missing), limits.EMAILS_PER_READ):
            some = missing[start : start + limits.EMAILS_PER_READ]
            rows = await self._store.emails(self.account_id, some, ["parts"])
            self._attachments.update(await asyncio.to_thread(_attachments, some, rows))
        return {email_id for email_id in email_ids if self._attachments.get(email_id)}

    # --- counts --------------------------------------------------------------------------------------

    async def counts(self, mailbox: Mailbox, threads_too: bool = True) -> Counts:
        """What RFC 8621 §2 counts of a mailbox."""
        index = await self._store.index(self.account_id, mailbox.mailbox_id)
        state: object = await self.state() if threads_too else (index.highest_modseq, len(index))
        known = self._counts.get(mailbox.mailbox_id)
        if known is not None and known[0] == (state, threads_too):
            return known[1]
        if threads_too:
            await self.all_threads()
        indexes = await self.indexes()
        trash = next((m.mailbox_id for m in await self.mailboxes() if m.role is Role.TRASH), None)
        found = await _off_loop(_count, indexes, mailbox.mailbox_id, trash, self._threads, threads_too)
        self._counts[mailbox.mailbox_id] = ((state, threads_too), found)
        return found


async def _off_loop(function: object, indexes: dict[int, MailboxIndex], *rest: object) -> Counts:
    """Large mailboxes are counted in a thread, on copies: nothing holds the loop for long."""
    columns = {number: (index.email_ids[:], index.flags[:]) for number, index in indexes.items()}
    assert callable(function)
    if sum(len(index) for index in indexes.values()) < limits.JMAP_ON_LOOP:
        found = function(columns, *rest)
    else:
        found = await asyncio.to_thread(function, columns, *rest)
    assert isinstance(found, Counts)
    return found


def _count(
    columns: dict[int, tuple[Sequence[int], Sequence[int]]],
    mailbox_id: int,
    trash: int | None,
    threads: dict[int, int],
    threads_too: bool,
) -> Counts:
    email_ids, flags = columns[mailbox_id]
    visible = [e for e, f in zip(email_ids, flags, strict=True) if not f & DELETED]
    unread = sum(1 for f in flags if not f & _READ)
    if not threads_too:
        return Counts(total_emails=len(visible), unread_emails=unread, total_threads=0, unread_threads=0)
    here = {threads.get(e, e) for e in visible}
    # RFC 8621 §2: for other mailboxes an email that is only in the trash does not count, and for the trash only
    # what is in it does.
    looked_at = [trash] if mailbox_id == trash else [number for number in columns if number != trash]
    unread_threads = {
        threads.get(e, e)
        for number in looked_at
        if number is not None
        for e, f in zip(*columns[number], strict=True)
        if not f & _READ
    }
    return Counts(
        total_emails=len(visible),
        unread_emails=unread,
        total_threads=len(here),
        unread_threads=len(here & unread_threads),
    )


def _attachments(email_ids: Sequence[int], rows: Sequence[tuple[bytes] | None]) -> dict[int, bool]:
    return {
        email_id: row is not None and body_parts(decode_parts(row[0])).has_attachment
        for email_id, row in zip(email_ids, rows, strict=True)
    }


def standing_of(indexes: dict[int, MailboxIndex], email_id: int) -> Standing | None:
    """Where an email is; None: nowhere, or only with \\Deleted."""
    places: list[tuple[int, int]] = []
    flags = size = received = 0
    for number, index in indexes.items():
        uid = index.find(email_id)
        position = None if uid is None else index.position(uid)
        if uid is None or position is None:
            continue
        if index.flags[position] & DELETED:
            continue
        places.append((number, uid))
        flags, size, received = index.flags[position], index.sizes[position], index.received[position]
    return Standing(tuple(places), flags, size, received) if places else None


class MailCache:
    """Accounts' mail, the least recently used dropped when too many threads are remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._accounts: OrderedDict[int, AccountMail] = OrderedDict()

    def of(self, account_id: int) -> AccountMail:
        """One account's mail."""
        found = self._accounts.get(account_id)
        if found is None:
            found = self._accounts[account_id] = AccountMail(self._store, account_id)
            while len(self._accounts) > 1 and self._crowded():
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(account_id)
        return found

    def _crowded(self) -> bool:
        return (
            len(self._accounts) > limits.JMAP_ACCOUNTS
            or sum(account.remembered for account in self._accounts.values()) > limits.JMAP_THREADS
        )
