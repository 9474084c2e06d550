"""What a store reads in the shared SQL, and keeps nothing of in memory: changes, items, uploads, keys, reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Concatenate, Generic, ParamSpec, TypeVar

from posthouse.store.account_model import EmailChange, Item, ItemChange, MailboxGone, Passage, Upload
from posthouse.store.deleted import DeletedEmail
from posthouse.store.memory.engine import Rdr
from posthouse.store.memory.readers import Readers
from posthouse.store.model import Suppression
from posthouse.store.retention import Aging, Defaults
from posthouse.store.sql import account_reads, deleted, retention, shared, suppressions, transfers, trust
from posthouse.store.sql.database import Database
from posthouse.store.trust import DkimKey, DmarcTally, Mute, Report

R = TypeVar("R")
P = ParamSpec("P")


class Records(Generic[Rdr]):
    """A part of `LiveStore`."""

    _readers: Readers[Rdr]

    def _of_rows(
        self, read: Callable[Concatenate[Database, P], R], *arguments: P.args, **more: P.kwargs
    ) -> asyncio.Future[R]:
        """Run a reading function in shared SQL."""
        return self._readers.run(lambda reader: read(reader.db, *arguments, **more))

    async def email_changes(self, account_id: int, since: int) -> list[EmailChange] | None:
        """Emails created, changed or destroyed after a mod-sequence."""
        return await self._of_rows(account_reads.email_changes, account_id, since)

    async def mailboxes_gone(self, account_id: int, since: int) -> list[MailboxGone] | None:
        """Mailboxes deleted after a mod-sequence."""
        return await self._of_rows(account_reads.mailboxes_gone, account_id, since)

    async def passages(self, account_id: int, mailbox_ids: Sequence[int], since: int) -> list[Passage] | None:
        """Emails that came into these mailboxes from others, or left them."""
        return await self._of_rows(shared.read_changes, account_id, mailbox_ids, since)

    async def items(self, account_id: int, kind: str, item_ids: Sequence[int] | None = None) -> list[Item]:
        """The items of a kind, by number."""
        return await self._of_rows(account_reads.items, account_id, kind, item_ids)

    async def item_count(self, account_id: int, kind: str) -> int:
        """How many items of a kind there are."""
        return await self._of_rows(account_reads.item_count, account_id, kind)

    async def item_changes(self, account_id: int, kind: str, since: int) -> list[ItemChange] | None:
        """Items created, changed or removed after a mod-sequence."""
        return await self._of_rows(account_reads.item_changes, account_id, kind, since)

    async def items_due(self, kind: str, now: float, limit: int) -> list[Item]:
        """Items of all accounts whose time has come."""
        return await self._of_rows(account_reads.items_due, kind, now, limit)

    async def next_item_due(self, kind: str) -> float | None:
        """The earliest time of a kind."""
        return await self._of_rows(account_reads.next_item_due, kind)

    async def uploads(self, account_id: int, upload_ids: Sequence[int]) -> list[Upload | None]:
        """Uploads of an account by number."""
        return await self._of_rows(account_reads.uploads, account_id, upload_ids)

    async def transferred(self, account_id: int, marks: Sequence[bytes]) -> frozenset[bytes]:
        """Which of these marks are known."""
        return await self._of_rows(transfers.read, account_id, marks)

    async def suppressions(
        self, *, addresses: Sequence[str] | None = None, limit: int = 1000
    ) -> list[Suppression]:
        """The suppression list with suggestions, by address."""
        if addresses is None:
            return await self._of_rows(suppressions.read_all, limit)
        return await self._of_rows(suppressions.read_some, addresses)

    # --- deleted mail --------------------------------------------------------------------------------------

    async def deleted(self, account_id: int, limit: int, since: int = 0) -> list[DeletedEmail]:
        """What can be brought back, of what was deleted at or after a time; the latest first."""
        return await self._of_rows(deleted.latest, account_id, limit, since)

    async def deleted_emails(self, account_id: int, email_ids: Sequence[int]) -> list[DeletedEmail]:
        """Those of these emails that can be brought back."""
        return await self._of_rows(deleted.these, account_id, email_ids)

    async def accounts_with_deleted(self, before: int) -> list[int]:
        """Accounts that have emails which were deleted before a time."""
        return await self._of_rows(deleted.accounts, before)

    async def aging(self, now: int, defaults: Defaults, after: tuple[int, int] = (0, 0)) -> Sequence[Aging]:
        """Mailboxes of all accounts that mail leaves by itself."""
        return await self._of_rows(retention.aging, now, defaults, after)

    async def old_messages(self, account_id: int, mailbox_id: int, before: int) -> int:
        """How many messages that came into a mailbox before a time would leave it."""
        return await self._of_rows(retention.old_messages, account_id, mailbox_id, before)

    # --- trust ---------------------------------------------------------------------------------------------

    async def dkim_keys(self, domain: str = "") -> tuple[DkimKey, ...]:
        """The DKIM keys of a domain (of all), oldest first."""
        return await self._of_rows(trust.read_keys, domain)

    async def dmarc_tallies(self, before: int) -> tuple[DmarcTally, ...]:
        """What is to be reported of days before a time, by domain and day."""
        return await self._of_rows(trust.read_tallies, before)

    async def reports(self, domain: str = "", limit: int = 100) -> tuple[Report, ...]:
        """Reports received and sent (about a domain), the newest first."""
        return await self._of_rows(trust.read_reports, domain, limit)

    async def report(self, report_id: int) -> Report | None:
        """One report."""
        return await self._of_rows(trust.read_report, report_id)

    async def mutes(self, domain: str) -> tuple[Mute, ...]:
        """The findings about a domain that nobody wants to hear of."""
        return await self._of_rows(trust.read_mutes, domain)
