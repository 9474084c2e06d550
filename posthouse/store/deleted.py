"""Mail that was deleted for good and can still be brought back: for whom a phone has emptied the Trash by mistake.

When an email leaves its last mailbox it stays for the time that is configured (`store.deleted`), out of every
client's sight and not counted in the quota; it comes back as the same email. What was in a Drafts, Junk or Rejects
mailbox is not kept, nor the mail of a removed account; and while the disk is full deleted mail is the first to go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from posthouse.ranges import Ranges
from posthouse.store.operations import Op


class DeletedEmail(msgspec.Struct, frozen=True, kw_only=True):
    """One that can be brought back."""

    email_id: int
    deleted_at: int
    """POSIX seconds, as the next."""
    received_at: int
    mailbox: str
    """The name of the last one that it was in."""
    size: int


class RestoreEmails(Op[Ranges], frozen=True, kw_only=True):
    """Bring deleted emails back into a mailbox, with the flags they had; the result: their UIDs.

    Those that are gone are left out. NotFound when there is no such mailbox; OverQuota; StoreUnavailable while the disk
    is full.
    """

    account_id: int
    mailbox_id: int
    email_ids: tuple[int, ...]


class ForgetDeleted(Op[int], frozen=True, kw_only=True):
    """Remove deleted emails of an account for good: some of those deleted before a time, or these; how many."""

    account_id: int
    before: int = 0
    """POSIX seconds."""
    email_ids: tuple[int, ...] = ()


class DeletedMail(Protocol):
    """The part of the store that answers what was deleted."""

    async def deleted(self, account_id: int, limit: int, since: int = 0) -> list[DeletedEmail]:
        """What can be brought back, of what was deleted at or after a time; the latest first."""
        ...

    async def deleted_emails(self, account_id: int, email_ids: Sequence[int]) -> list[DeletedEmail]:
        """Those of these emails that can be brought back."""
        ...

    async def accounts_with_deleted(self, before: int) -> list[int]:
        """Accounts that have emails which were deleted before a time."""
        ...
