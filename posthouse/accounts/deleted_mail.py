"""Mail that was deleted and can be brought back (`store.deleted`), as people see it: by From and Subject."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.message.headers import Headers
from posthouse.store.deleted import DeletedEmail, ForgetDeleted, RestoreEmails
from posthouse.store.interface import Store
from posthouse.store.model import Mailbox, Role

log: Final = logging.getLogger(__name__)

_INBOX: Final = "INBOX"


class DeletedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted message."""

    id: int
    """The email's number."""
    deleted_at: int
    received_at: int
    mailbox: str
    """Where it was last."""
    size: int
    sender: str
    """Its From field, decoded."""
    subject: str


class DeletedMail:
    """Lists it, brings it back, ends it."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def listed(self, account_id: int, limit: int, since: int = 0) -> list[DeletedRow]:
        """What was deleted at or after a time (POSIX seconds), the latest first; at most DELETED_LISTED."""
        most = max(0, min(limit, limits.DELETED_LISTED))
        deleted = await self._store.deleted(account_id, most, since)
        stored = await self._store.stored(account_id, [each.email_id for each in deleted])
        rows = []
        for each, place in zip(deleted, stored, strict=True):
            if place is None:
                continue  # gone for good meanwhile
            head = await self._store.read(place, 0, min(place.size, limits.DELETED_HEADER))
            headers = Headers.scan(head)
            rows.append(
                DeletedRow(
                    id=each.email_id,
                    deleted_at=each.deleted_at,
                    received_at=each.received_at,
                    mailbox=each.mailbox,
                    size=each.size,
                    sender=headers.text("from") or "",
                    subject=headers.text("subject") or "",
                )
            )
        return rows

    async def restore(self, account_id: int, ids: Sequence[int], into: str = "") -> list[int]:
        """Bring messages back, all in one commit; those that were there to be brought back.

        `into`: the mailbox; empty: each into the one it was in, or the inbox where that is gone or is the Trash.
        NotFound when there is no such mailbox; OverQuota.
        """
        there = await self._store.deleted_emails(account_id, ids)
        mailboxes = {each.name: each for each in await self._store.mailboxes(account_id)}
        if into and into.upper() != _INBOX and into not in mailboxes:
            raise NotFound(f"no mailbox {into}")
        chosen: dict[int, list[int]] = {}
        for each in there:
            target = mailboxes[_INBOX if into.upper() == _INBOX else into] if into else _home(each, mailboxes)
            chosen.setdefault(target.mailbox_id, []).append(each.email_id)
        await self._store.commit(
            *(
                RestoreEmails(account_id=account_id, mailbox_id=mailbox_id, email_ids=tuple(email_ids))
                for mailbox_id, email_ids in chosen.items()
            )
        )
        return [each.email_id for each in there]

    async def forget(self, account_id: int, ids: Sequence[int]) -> list[int]:
        """Remove deleted messages for good; those that were there."""
        there = [each.email_id for each in await self._store.deleted_emails(account_id, ids)]
        if there:
            await self._store.apply(ForgetDeleted(account_id=account_id, email_ids=tuple(there)))
        return there

    async def tidy(self, kept: float) -> int:
        """Remove for good what was deleted longer than `kept` seconds ago; how many messages."""
        before, removed = int(self._now() - kept), 0
        for account_id in await self._store.accounts_with_deleted(before):
            while some := await self._store.apply(ForgetDeleted(account_id=account_id, before=before)):
                removed += some
        if removed:
            log.info("deleted mail removed=%d", removed)
        return removed


def _home(deleted: DeletedEmail, mailboxes: dict[str, Mailbox]) -> Mailbox:
    """Where it was; who empties the Trash by mistake does not look for it there."""
    before = mailboxes.get(deleted.mailbox)
    return mailboxes[_INBOX] if before is None or before.role is Role.TRASH else before
