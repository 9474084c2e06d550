"""The mailbox Rejects: what was refused as junk stays there some days, then it is removed for good.

Only that: what else lies in a mailbox of this name was put there by its owner, who may have had one before.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from posthouse.junk.verdict import Decision
from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge, Store
from posthouse.store.judgement import REJECTS


class _Decided(msgspec.Struct):
    """What is read of a verdict."""

    decision: str = ""


async def expire_rejects(store: Store, kept: float, now: Callable[[], float] = time.time) -> int:
    """Remove what was refused longer than `kept` seconds ago from the Rejects mailboxes; how many messages."""
    before, removed = now() - kept, 0
    for account in await store.accounts():
        mailbox = await store.mailbox(account.account_id, REJECTS)
        if mailbox is None or not mailbox.total:
            continue
        index = await store.index(account.account_id, mailbox.mailbox_id)
        rows = zip(index.uids, index.email_ids, index.received, strict=True)
        old = [(uid, email_id) for uid, email_id, received in rows if received <= before]
        verdicts = await store.verdict(account.account_id, [email_id for _, email_id in old])
        gone = [uid for (uid, _), verdict in zip(old, verdicts, strict=True) if _was_refused(verdict)]
        if gone:
            await store.apply(
                Expunge(
                    account_id=account.account_id,
                    mailbox_id=mailbox.mailbox_id,
                    uids=Ranges.of_sorted(gone),
                    force=True,
                )
            )
            removed += len(gone)
    return removed


def _was_refused(verdict: bytes | None) -> bool:
    return bool(verdict) and msgspec.json.decode(verdict or b"{}", type=_Decided).decision == Decision.REJECT
