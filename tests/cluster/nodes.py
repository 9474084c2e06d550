"""Several nodes of one cluster in one process: each a `PostgresStore` of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.postgres import Place, PostgresStore
from tests.kits.engine import NOW
from tests.store.conftest import derive


@asynccontextmanager
async def nodes(url: str, folder: Path, count: int = 2, **place: Any) -> AsyncIterator[list[PostgresStore]]:
    """Open nodes; what is still open is closed at the end."""
    opened: list[PostgresStore] = []
    try:
        for number in range(count):
            settings = {"check_clock": False, **place}
            where = Place(url=url, folder=folder / f"node{number}", name=f"node{number}", **settings)
            opened.append(await PostgresStore.open(where, derive=derive, now=lambda: NOW))
        yield opened
    finally:
        await asyncio.gather(*(store.close() for store in opened))


def content(index: MailboxIndex) -> list[tuple[int, ...]]:
    """An index as rows."""
    columns = (index.uids, index.flags, index.modseqs, index.email_ids, index.sizes)
    return list(zip(*columns, strict=True))
