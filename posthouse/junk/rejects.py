"""The mailbox Rejects: what was refused as junk stays there some days, then it is removed for good."""

from __future__ import annotations

import time
from collections.abc import Callable

from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge, Store
from posthouse.store.judgement import REJECTS


async def expire_rejects(store: Store, kept: float, now: Callable[[], float] = time.time) -> int:
    """Remove what has been in a Rejects mailbox longer than `kept` seconds; how many messages."""
    before, removed = now() - kept, 0
    for account in await store.accounts():
        mailbox = await store.mailbox(account.account_id, REJECTS)
        if mailbox is None or not mailbox.total:
            continue
        index = await store.index(account.account_id, mailbox.mailbox_id)
        old = [uid for uid, received in zip(index.uids, index.received, strict=True) if received <= before]
        if old:
            await store.apply(
                Expunge(
                    account_id=account.account_id,
                    mailbox_id=mailbox.mailbox_id,
                    uids=Ranges.of_sorted(old),
                    force=True,
                )
            )
            removed += len(old)
    return removed
