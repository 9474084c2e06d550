"""The whole outbound queue, page by page: it may hold more than anybody should read at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

from posthouse import limits
from posthouse.store.interface import Store
from posthouse.store.model import QueuedMessage


async def queue_pages(store: Store) -> AsyncIterator[list[QueuedMessage]]:
    """Everything that is queued, QUEUE_PAGE messages at a time; what comes meanwhile may be among it."""
    last = 0
    while page := await store.queue(after=last, limit=limits.QUEUE_PAGE):
        last = page[-1].queue_id
        yield page
