"""Snoozed mail: it lies in the Snoozed mailbox until its time, then the house brings it back, unread.

That an email is snoozed is an item of its account (kind `Snooze`, its number is the email's) with the time when it is
due, so nothing is forgotten by a restart and no program need be open. Whoever moves it out of Snoozed before has woken
it: then the item is only forgotten.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, NotFound, OverQuota
from posthouse.ranges import Ranges
from posthouse.store.account_model import Item
from posthouse.store.interface import Expunge, MoveEmails, Op, PutItem, RemoveItem, SetFlags, Store
from posthouse.store.model import Mailbox, Role

log: Final = logging.getLogger(__name__)
KIND: Final = "Snooze"


class Snooze(msgspec.Struct, frozen=True, kw_only=True):
    """Until when, POSIX seconds."""

    until: int


def put(account_id: int, email_id: int, until: int) -> Op[Any]:
    """What notes that an email is snoozed."""
    data = msgspec.json.encode(Snooze(until=until))
    return PutItem(
        account_id=account_id, kind=KIND, item_id=email_id, new=True, data=data, due_at=float(until)
    )


async def snoozed(store: Store, account_id: int, email_ids: list[int]) -> dict[int, int]:
    """Email → until when, of those that are snoozed."""
    found = await store.items(account_id, KIND, email_ids)
    return {item.item_id: msgspec.json.decode(item.data, type=Snooze).until for item in found}


class Waker:
    """Brings back what is due. One per house; `round` is done again and again."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self.now = now
        """The clock, POSIX seconds."""

    async def round(self) -> int:
        """Wake all that is due; how many came back."""
        woken = 0
        while items := await self._store.items_due(KIND, self.now(), limits.SNOOZE_BATCH):
            for item in items:
                woken += await self._wake(item)
        return woken

    async def _wake(self, item: Item) -> bool:
        for _ in range(limits.JMAP_RETRIES):
            moving = await self._moving(item)
            try:
                await self._store.commit(*moving, _forget(item))
            except (Conflict, NotFound):  # somebody moves it at this moment, or woke it
                if not await self._store.items(item.account_id, KIND, [item.item_id]):
                    return False
                continue
            except OverQuota:
                break
            log.info("woken account=%d email=%d moved=%s", item.account_id, item.item_id, bool(moving))
            return bool(moving)
        # Tried again later rather than at once, and without standing in the way of others.
        later = self.now() + limits.SNOOZE_RETRY
        await self._store.apply(
            PutItem(account_id=item.account_id, kind=KIND, item_id=item.item_id, data=item.data, due_at=later)
        )
        return False

    async def _moving(self, item: Item) -> list[Op[Any]]:
        """What brings it to INBOX, unread; nothing when it is not in Snoozed any more."""
        boxes = {box.role: box for box in await self._store.mailboxes(item.account_id)}
        source, inbox = boxes.get(Role.SNOOZED), boxes.get(Role.INBOX)
        if source is None or inbox is None:
            return []
        uids = await self._uids(item, source)
        if uids is None:
            return []
        account_id, here = item.account_id, source.mailbox_id
        unread = SetFlags(
            account_id=account_id, mailbox_id=here, uids=uids, action="remove", flags=frozenset({"\\Seen"})
        )
        if await self._uids(item, inbox) is not None:
            return [unread, Expunge(account_id=account_id, mailbox_id=here, uids=uids, force=True)]
        target = inbox.mailbox_id
        return [unread, MoveEmails(account_id=account_id, source_id=here, uids=uids, target_id=target)]

    async def _uids(self, item: Item, box: Mailbox) -> Ranges | None:
        """The UID of the email in a mailbox; None: it is not there."""
        index = await self._store.index(item.account_id, box.mailbox_id)
        uid = index.find(item.item_id)
        return Ranges.of_sorted([uid]) if uid is not None else None


def _forget(item: Item) -> RemoveItem:
    return RemoveItem(account_id=item.account_id, kind=KIND, item_id=item.item_id)
