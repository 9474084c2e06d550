"""The octets of a queued message, and what is said where the store cannot give them.

Damage is a deferral like any other: a disk may only be away, or a file of segments come back from a backup. Until then
the message is tried by its schedule, and its end is `outbound.expire`; its sender hears of the delay and of the end.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Final

from posthouse.errors import Damaged, NotFound, StoreUnavailable, Temporary
from posthouse.smtp.replies import DAMAGED, Reply
from posthouse.store.interface import Store
from posthouse.store.model import Stored

log: Final = logging.getLogger(__name__)

_NOT_NOW: Final = Reply(451, "4.3.0", "The store here cannot give the message now; it stays in the queue")


class Unreadable(Temporary):
    """The store does not give a message; `reply` says so."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


async def content_of(store: Store, stored: Stored, trace_id: str) -> AsyncIterator[bytes]:
    """A message in pieces. Raises Unreadable."""
    try:
        async for chunk in store.chunks(stored):
            yield chunk
    except (StoreUnavailable, NotFound) as fault:
        raise await _unreadable(store, stored, trace_id) from fault


async def whole_of(store: Store, stored: Stored, trace_id: str) -> bytes:
    """A whole message. Raises Unreadable."""
    try:
        return await store.whole(stored)
    except (StoreUnavailable, NotFound) as fault:
        raise await _unreadable(store, stored, trace_id) from fault


async def beginning_of(store: Store, stored: Stored, octets: int, trace_id: str) -> bytes:
    """The first octets of a message; none when it is damaged: what is to be said of it must still be said.

    Raises StoreUnavailable when that may pass.
    """
    try:
        return await store.read(stored, 0, min(stored.size, octets))
    except NotFound:
        return b""
    except StoreUnavailable as fault:
        if (await _unreadable(store, stored, trace_id)).reply is DAMAGED:
            return b""
        raise fault


async def _unreadable(store: Store, stored: Stored, trace_id: str) -> Unreadable:
    """Only a look at the whole message tells damage from a store that is away."""
    try:
        await store.whole(stored)
    except (Damaged, NotFound) as fault:
        log.error("queued message is damaged id=%s: %s", trace_id, fault.public)
        return Unreadable(DAMAGED)
    except StoreUnavailable as fault:
        log.warning("queued message cannot be read now id=%s: %s", trace_id, fault.public)
    return Unreadable(_NOT_NOW)
