"""An account's mail as JMAP sees it: every email once, with its mailboxes, keywords and thread.

Over the store's live indexes. Threads never change, so they are remembered; what is counted for a mailbox is
remembered until the mailbox changes. Messages with \\Deleted are not there (RFC 8621 §4.1.1).
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts import mailbox_rights
from posthouse.accounts.mailbox_rights import MailboxRights
from posthouse.jmap.states import Since, parse_state
from posthouse.message.body_parts import body_parts
from posthouse.message.mime import decode_parts
from posthouse.store.account_model import EmailChange, MailboxGone
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
    """One account, as its owner sees it. Made by `MailCache`."""

    is_own = True
    audience: tuple[int, ...]
    """For whom results hold: the account, and what else they depend on."""

    def __init__(self, store: Store, account_id: int) -> None:
        self._store = store
        self.account_id = account_id
        self.audience = (account_id,)
        self._threads: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}
        self._unfiled: list[int] = []
        """Emails whose threads are remembered, but that are not put into `_members` yet."""
        self._covered: dict[int, int] = {}
        """Mailbox → UIDs below it have their threads remembered."""
        self._counts: tuple[int, dict[int, Counts]] = (-1, {})
        self._attachments: dict[int, bool] = {}

    async def mailboxes(self) -> tuple[Mailbox, ...]:
        """All mailboxes."""
        return await self._store.mailboxes(self.account_id)

    async def state(self) -> int:
        """The latest mod-sequence of mail."""
        return (await self._store.states(self.account_id)).mail

    def rights(self, box: Mailbox) -> MailboxRights:
        """What whoever asks may do with a mailbox."""
        return mailbox_rights.of_owner(box)

    def changed_at(self, box: Mailbox) -> int:
        """The mod-sequence of a mailbox's latest change."""
        return max(box.highest_modseq, box.changed_modseq)

    def properties_changed_at(self, box: Mailbox) -> int:
        """The same, of more than its counts."""
        return box.changed_modseq

    def created_at(self, box: Mailbox) -> int:
        """The mod-sequence since when a mailbox is there."""
        return box.created_modseq

    def place(self, text: str, latest: int) -> Since:
        """What a state says. MethodError cannotCalculateChanges."""
        return parse_state(text, latest)

    async def mailboxes_gone(self, since: int) -> list[MailboxGone] | None:
        """Mailboxes that went away after a mod-sequence. None: the history does not reach back so far."""
        return await self._store.mailboxes_gone(self.account_id, since)

    async def changes(self, since: int) -> list[EmailChange] | None:
        """Emails that changed, by (modseq, email). Who got \\Deleted is gone (RFC 8621 §4.1.1). None: as above."""
        changes = await self._store.email_changes(self.account_id, since)
        if changes is None:
            return None
        indexes = await self.indexes()
        threads = await self.threads([each.email_id for each in changes if not each.gone])
        return [
            each
            if each.gone or standing_of(indexes, each.email_id) is not None
            else msgspec.structs.replace(
                each,
                created_modseq=each.first_modseq,
                gone=True,
                thread_id=threads.get(each.email_id, each.email_id),
            )
            for each in changes
        ]

    async def indexes(self, mailbox_ids: Iterable[int] | None = None) -> dict[int, MailboxIndex]:
        """The indexes of mailboxes (None: all), by number. NotFound.

        All come ordered by number and not by name: what is equal in a list is ordered by them, and stays as it was
        when a mailbox gets another name (RFC 8620 §5.5: the order is stable).
        """
        if mailbox_ids is None:
            mailbox_ids = sorted(mailbox.mailbox_id for mailbox in await self.mailboxes())
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

    async def is_elsewhere_too(self, email_ids: Sequence[int]) -> set[int]:
        """Those of these emails that are also in mailboxes that whoever asks does not see."""
        return set()

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
        missing = [email_id for email_id in email_ids if email_id not in known] if known else email_ids
        if missing:
            decided = await self._store.threads(self.account_id, missing)
            found = zip(missing, decided, strict=True)
            if known or None in decided:  # somebody may have asked at the same time: each is filed once
                fresh = {email_id: thread or email_id for email_id, thread in found if email_id not in known}
                known.update(fresh)
                self._unfiled += fresh
            else:
                known.update(found)  # type: ignore[arg-type]  # none of them is None
                self._unfiled += known
        return known

    def _file(self) -> None:
        for email_id in self._unfiled:
            thread = self._threads[email_id]
            if thread != email_id:
                self._members.setdefault(thread, []).append(email_id)
        self._unfiled = []

    async def threads_in(self, indexes: Iterable[MailboxIndex]) -> dict[int, int]:
        """The same for all emails of some mailboxes; only what came since the last time is looked at."""
        for index in indexes:
            covered, bound = self._covered.get(index.mailbox_id, 0), index.uid_next
            if covered < bound:
                await self.threads(index.email_ids[bisect_left(index.uids, covered) :])
                self._covered[index.mailbox_id] = bound
        return self._threads

    async def all_threads(self) -> dict[int, int]:
        """The same for every email of the account."""
        return await self.threads_in((await self.indexes()).values())

    async def members(self, thread_id: int) -> list[int]:
        """The emails of a thread that are there, by date of receipt (call `all_threads` before)."""
        indexes = await self.indexes()
        found = [
            (standing.received_at, email_id)
            for email_id in self.members_anywhere(thread_id)
            if (standing := standing_of(indexes, email_id)) is not None
        ]
        return [email_id for _, email_id in sorted(found)]

    def members_anywhere(self, thread_id: int) -> list[int]:
        """The emails of a thread that anybody has asked for, whether they are there or not."""
        self._file()
        return [thread_id, *self._members.get(thread_id, ())]

    async def everything(self, most: int) -> list[int] | None:
        """All emails, when there are at most so many; None: there are more."""
        found: set[int] = set()
        for index in (await self.indexes()).values():
            shown = matching(index.flags, VISIBLE)
            if shown.count(1) > most:
                return None
            found.update(compress(index.email_ids, shown))
        return sorted(found) if len(found) <= most else None

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

    async def counts(self) -> dict[int, Counts]:
        """What RFC 8621 §2 counts, of every mailbox; remembered until mail changes."""
        state = await self.state()
        if self._counts[0] == state:
            return self._counts[1]
        indexes = await self.indexes()
        threads = await self.threads_in(indexes.values())
        trash = next((m.mailbox_id for m in await self.mailboxes() if m.role is Role.TRASH), None)
        columns = {number: (index.email_ids[:], index.flags[:]) for number, index in indexes.items()}
        if sum(map(len, indexes.values())) < limits.JMAP_ON_LOOP:
            found = count(columns, trash, threads)
        else:  # on copies: nothing holds the loop for long
            found = await asyncio.to_thread(count, columns, trash, threads)
        self._counts = (state, found)
        return found


def count(
    columns: dict[int, tuple[array[int], array[int]]], trash: int | None, threads: dict[int, int]
) -> dict[int, Counts]:
    """The counts of all mailboxes, by whole columns. What came this very moment stands alone for now."""
    thread_of = threads.get
    unread = {
        number: list(compress(email_ids, matching(flags, _UNREAD)))
        for number, (email_ids, flags) in columns.items()
    }
    # RFC 8621 §2: for other mailboxes an email that is only in the trash does not count, and for the trash only
    # what is in it does.
    unread_elsewhere = {
        thread_of(email_id, email_id)
        for number, emails in unread.items()
        if number != trash
        for email_id in emails
    }
    found: dict[int, Counts] = {}
    for number, (email_ids, flags) in columns.items():
        visible = list(compress(email_ids, matching(flags, VISIBLE)))
        here = set(map(thread_of, visible, visible))
        asked = set(map(thread_of, unread[number], unread[number])) if number == trash else unread_elsewhere
        found[number] = Counts(
            total_emails=len(visible),
            unread_emails=len(unread[number]),
            total_threads=len(here),
            unread_threads=len(here & asked),
        )
    return found


def matching(flags: array[int], table: bytes) -> bytes:
    """For each email 1 or 0, by its system flags; C does the work."""
    return flags.tobytes()[LOWEST_OCTET::8].translate(table)


LOWEST_OCTET: Final = 0 if sys.byteorder == "little" else 7
_UNREAD: Final = bytes(not octet & _READ for octet in range(256))
VISIBLE: Final = bytes(not octet & DELETED for octet in range(256))


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
