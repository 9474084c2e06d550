"""What was refused as junk and kept in the mailboxes Rejects (`junk.rejects`): all accounts' together, and the way out.

An administrator sees header fields and the filter's reasons, never the text: whose mail it is decides what to read.
Rescuing is moving to the inbox, by which the account's filter learns (`store.judgement`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from posthouse import limits
from posthouse.accounts.named import named_account
from posthouse.errors import NotFound
from posthouse.message.headers import Headers
from posthouse.operations.administration import Method
from posthouse.ranges import Ranges
from posthouse.store.interface import MoveEmails, Store
from posthouse.store.judgement import REJECTS
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import Account

INBOX = "INBOX"


class RejectRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message in somebody's Rejects."""

    id: int
    """The email's number: with the address it names the message."""
    address: str
    """Whose."""
    received_at: int
    size: int
    sender: str
    """Its From field, decoded."""
    subject: str
    score: float
    reasons: tuple[str, ...]
    """What spoke for junk, the heaviest first."""


class Rejects:
    """Commands on refused mail."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def commands(self) -> dict[str, Method]:
        """By their names."""
        return {"rejects.list": self.rejects_list, "rejects.rescue": self.rejects_rescue}

    async def rejects_list(self, *, address: str = "", limit: int = 200) -> list[RejectRow]:
        """What was refused and kept, for one account or all, the newest first. NotFound; ValueError."""
        if limit < 1:
            raise ValueError("a limit is at least 1")
        most = min(limit, limits.REJECTS_LISTED)
        accounts = [await named_account(self._store, address)] if address else await self._store.accounts()
        found: list[tuple[int, Account, int]] = []
        for account in accounts:
            index = await self._index(account.account_id)
            if index is None:
                continue
            newest = list(zip(index.received, index.email_ids, strict=True))[-most:]
            found += [(received, account, email_id) for received, email_id in newest]
        found.sort(key=lambda each: each[0], reverse=True)
        rows = [await self._row(account, email_id, received) for received, account, email_id in found[:most]]
        return [row for row in rows if row is not None]

    async def rejects_rescue(self, *, address: str, ids: tuple[int, ...]) -> int:
        """Move messages to their account's inbox, as good ones; how many. NotFound when one is not there (any more)."""
        account = await named_account(self._store, address)
        index = await self._index(account.account_id)
        places = dict(zip(index.email_ids, index.uids, strict=True)) if index is not None else {}
        missing = [number for number in ids if number not in places]
        if index is None or missing:
            raise NotFound(f"not in Rejects of {account.address}: {', '.join(map(str, missing or ids))}")
        inbox = await self._store.mailbox(account.account_id, INBOX)
        if inbox is None:
            raise NotFound(f"{account.address} has no inbox")
        wanted = sorted({places[number] for number in ids})
        moved = await self._store.apply(
            MoveEmails(
                account_id=account.account_id,
                source_id=index.mailbox_id,
                uids=Ranges.of_sorted(wanted),
                target_id=inbox.mailbox_id,
            )
        )
        return len(moved.source)

    async def _index(self, account_id: int) -> MailboxIndex | None:
        mailbox = await self._store.mailbox(account_id, REJECTS)
        if mailbox is None or not mailbox.total:
            return None
        return await self._store.index(account_id, mailbox.mailbox_id)

    async def _row(self, account: Account, email_id: int, received: int) -> RejectRow | None:
        (stored,) = await self._store.stored(account.account_id, [email_id])
        if stored is None:
            return None  # removed meanwhile
        headers = Headers.scan(await self._store.read(stored, 0, min(stored.size, limits.REJECTS_HEADER)))
        (verdict,) = await self._store.verdict(account.account_id, [email_id])
        score, reasons = _reasons(verdict)
        return RejectRow(
            id=email_id,
            address=account.address,
            received_at=received,
            size=stored.size,
            sender=headers.text("from") or "",
            subject=headers.text("subject") or "",
            score=score,
            reasons=reasons,
        )


def _reasons(verdict: bytes | None) -> tuple[float, tuple[str, ...]]:
    """(score, what spoke for junk) of a kept verdict; nothing of one that was never made."""
    kept: dict[str, Any] = msgspec.json.decode(verdict) if verdict else {}
    against = [check for check in kept.get("checks", ()) if check.get("weight", 0.0) > 0]
    against.sort(key=lambda check: -float(check["weight"]))
    said = (": ".join(filter(None, (check["check"], check.get("evidence", "")))) for check in against)
    return float(kept.get("score", 0.0)), tuple(said)
