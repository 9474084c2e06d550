"""The database's disk is full: mail is deferred, what is there is read, and nothing answered is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse.errors import StoreUnavailable
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database, unprivileged
from tests.kits.engine import furnish

SMALL, LARGE = "24m", "200m"


class Disk:
    """A small file system of its own, in which a database lies."""

    def __init__(self, server: Database) -> None:
        self.folder = server.folder / "small"
        self.folder.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={SMALL}", "none", str(self.folder))
        who = unprivileged()
        os.chown(self.folder, who["user"], who["group"])

    def enlarge(self) -> None:
        self._mount("-o", f"remount,size={LARGE}", str(self.folder))

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words], check=True, capture_output=True)

    def remove(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)


@pytest.fixture
def disk(server: Database) -> Iterator[Disk]:
    if os.getuid() != 0:
        pytest.skip("only root can make a small disk")
    try:
        made = Disk(server)
    except subprocess.CalledProcessError as refusal:
        pytest.skip(f"no small disk can be made here: {refusal.stderr.decode().strip()}")
    yield made
    made.remove()


async def test_a_full_disk_defers_mail_and_loses_none(server: Database, disk: Disk, tmp_path: Path) -> None:
    server.sql(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
    server.sql("CREATE DATABASE full_house TEMPLATE template0 TABLESPACE small")
    engine = PostgresEngine(server.url("full_house"), tmp_path)
    await engine.open()
    try:
        desk = await furnish(engine)
        inbox = await desk.box()
        kept: list[int] = []
        with pytest.raises(StoreUnavailable):
            while len(kept) < 500:
                added = await asyncio.gather(
                    *(desk.add(inbox, f"{len(kept)}-{n} " + "x" * 50_000) for n in range(4))
                )
                kept += [each.email_id for (each,) in added]
        assert kept, "some fitted"
        async with asyncio.timeout(30):
            with pytest.raises(StoreUnavailable):
                await desk.add(inbox, "x" * 100_000)
            assert None not in await desk.store.messages(desk.id, kept[:5])
        disk.enlarge()
        (after,) = await desk.add(inbox, "after " + "x" * 100_000)
        await engine.reopen()
        there = list((await desk.store.index(desk.id, inbox.mailbox_id)).email_ids)
        assert set(kept) | {after.email_id} <= set(there)
        assert len(there) == len(set(there)) == (await desk.box()).total
    finally:
        await engine.store.close()
        server.sql("DROP DATABASE full_house WITH (FORCE)")
        server.sql("DROP TABLESPACE small")
