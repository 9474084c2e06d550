"""The embedded engine under test, on real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from posthouse.store.model import Derived
from posthouse.store.sqlite import SqliteStore
from tests.kits.engine import NOW


def derive(raw: bytes, received_at: int) -> Derived:
    """Small, and different for every message."""
    head, _, body = raw.partition(b"\r\n\r\n")
    return Derived(
        envelope=b"(" + head + b")",
        body_structure=b"(%d)" % len(raw),
        parts=len(raw).to_bytes(8, "big") + raw[:300],
        preview=body.strip().decode("utf-8", "replace")[:200],
        sent_at=received_at - 1,
        thread_keys=tuple(int(word) for word in body.split()[1:]) if body.startswith(b"thread ") else (),
    )


class SqliteEngine:
    """See `tests.kits.engine.EngineUnderTest`."""

    store: SqliteStore

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.path = folder / "mail.db"
        self.settings = {"derive": derive, "now": lambda: NOW, **settings}

    async def open(self) -> SqliteStore:
        self.store = await SqliteStore.open(self.path, self.folder / "blobs", **self.settings)
        return self.store

    async def reopen(self) -> SqliteStore:
        await self.store.close()
        return await self.open()

    async def settle(self) -> None:
        await asyncio.wait_for(self.store.settle(), 10)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteEngine]:
    made = SqliteEngine(tmp_path)
    await made.open()
    yield made
    await made.store.close()
