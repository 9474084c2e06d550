"""Small bodies that grew old are packed into objects, and read, expunged, rewritten, swept, verified as before."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest

from posthouse import limits
from posthouse.errors import Damaged, PosthouseError
from posthouse.ranges import Ranges
from posthouse.store.interface import AddAccount, AddEmail, CopyEmails
from posthouse.store.model import Content
from posthouse.store.moving.keeping import ClusterKeeper, restore_into_cluster
from posthouse.store.postgres import packing
from posthouse.store.sqlite.verify import Flaw
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore
from tests.cluster.packed import House
from tests.cluster.test_move import everything, in_thread
from tests.store.conftest import SqliteEngine


async def test_old_bodies_are_packed_and_read_as_before(house: House) -> None:
    assert await house.pack() == 30
    assert house.unpacked == 0
    ((size, living),) = house.packs
    assert living == size < 0.8 * sum(map(len, house.mail.values())), "compressed where it is worth it"
    await house.all_is_well()
    inbox = await house.desk.box()
    index = await house.desk.store.index(house.desk.id, inbox.mailbox_id)
    (place,) = await house.desk.store.stored(house.desk.id, [index.email_ids[7]])
    assert place is not None
    await house.engine.reopen()
    assert await house.desk.store.read(place, 3_000, 500) == house.mail[8][3_000:3_500]
    assert await house.pack() == 0, "there is nothing left"


async def test_young_bodies_and_few_ones_stay(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACK_AFTER", 3_000.0)
    assert await house.pack() == 0
    house.sql("UPDATE blob SET stored_at = stored_at - 2900")
    assert await house.pack() == 0
    house.sql("UPDATE blob SET stored_at = stored_at - 200")
    await house.receive(3)
    monkeypatch.setattr(limits, "PACK_LEAST", 10**6)
    assert await house.pack() == 0
    monkeypatch.setattr(limits, "PACK_LEAST", 1)
    assert await house.pack() == 30
    assert house.unpacked == 3


async def test_a_low_number_that_came_late_is_packed_some_day(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "ALL_DAYS", 10**9)
    house.sql(
        "UPDATE blob SET stored_at = stored_at + 500 WHERE blob_id < (SELECT min(blob_id) + 4 FROM blob)"
    )
    assert await house.pack() == 26
    house.sql("UPDATE blob SET stored_at = stored_at - 500")
    assert await house.pack() == 0
    monkeypatch.setattr(packing, "ALL_DAYS", 1)
    assert await house.pack() == 4
    await house.all_is_well()


async def test_packs_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACK_OCTETS", 40_000)
    monkeypatch.setattr(limits, "PACK_BODIES", 5)
    await house.pack()
    assert len(house.packs) == 6
    await house.receive(1, 200_000)  # an object of its own
    monkeypatch.setattr(limits, "PACK_BODIES", 100)
    await house.receive(12)
    await house.pack()
    assert len(house.packs) == 8
    assert max(size for size, _ in house.packs) < 40_000
    await house.all_is_well()


async def test_only_the_blocks_asked_for_are_fetched(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACK_BLOCK", 10_000)
    await house.pack()
    store = await house.engine.reopen()
    inbox = await house.desk.box()
    index = await store.index(house.desk.id, inbox.mailbox_id)
    assert await store.messages(house.desk.id, [index.email_ids[9]]) == [house.mail[10]]
    cache = house.engine.place.folder / "objects"
    kept = [file.stat().st_size for file in cache.iterdir()]
    assert 1 <= len(kept) <= 2
    assert max(kept) <= 10_000
    await house.all_is_well(store)
    ((size, _),) = house.packs
    assert sum(file.stat().st_size for file in cache.iterdir()) == size


async def test_a_pack_that_is_mostly_dead_is_rewritten(house: House) -> None:
    await house.pack()
    before = await house.keys()
    await house.expunge(1, 10)
    ((size, living),) = house.packs
    assert 0.5 * size < living < 0.8 * size
    assert await house.pack() == 0, "not yet"
    await house.expunge(11, 20)
    assert await house.pack() == 10
    ((size, living),) = house.packs
    assert size == living
    assert before < await house.keys(), "the old one is still there for those who read it"
    await house.all_is_well()
    await house.nothing_is_left_over()
    await house.all_is_well()
    await house.expunge(21, 30)
    assert house.packs == []
    assert house.sql("SELECT 1 FROM blob") == []
    await house.nothing_is_left_over()


async def test_small_packs_are_joined(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.pack()
    for _ in range(limits.PACK_REMNANTS - 2):
        await house.receive(2)
        await house.pack()
    assert len(house.packs) == limits.PACK_REMNANTS - 1
    await house.receive(2)
    monkeypatch.setattr(limits, "PACK_LEAST", 10**6)
    assert await house.pack() == 0
    monkeypatch.setattr(limits, "PACK_LEAST", 1)
    await house.pack()
    monkeypatch.setattr(limits, "PACK_LEAST", 10**6)
    assert await house.pack() == len(house.mail)
    assert len(house.packs) == 1
    await house.all_is_well()
    await house.nothing_is_left_over()


async def test_copies_and_the_queue_share_a_packed_body(house: House) -> None:
    desk = house.desk
    inbox, trash = await desk.box(), await desk.box("Trash")
    await house.pack()
    await desk.store.apply(
        CopyEmails(
            account_id=desk.id,
            source_id=inbox.mailbox_id,
            uids=Ranges([(1, 30)]),
            target_id=trash.mailbox_id,
        )
    )
    kept = list(house.mail.values())
    await house.expunge(1, 30)
    ((size, living),) = house.packs
    assert size == living
    await house.engine.reopen()
    index = await desk.store.index(desk.id, trash.mailbox_id)
    assert await desk.store.messages(desk.id, list(index.email_ids)) == kept


# --- wrong bytes --------------------------------------------------------------------------------------------


async def test_wrong_bytes_in_a_pack_are_an_error_and_never_mail(house: House) -> None:
    await house.pack()
    (key,) = house.sql("SELECT object FROM blob WHERE object IS NOT NULL")
    raw = bytearray(obstore.get(house.bucket, key).bytes())
    (where,) = house.sql(
        "SELECT pack_offset FROM blob WHERE pack IS NOT NULL ORDER BY blob_id OFFSET 4 LIMIT 1"
    )
    raw[int(where) + 100] ^= 1
    obstore.put(house.bucket, key, bytes(raw))
    store = await house.engine.reopen()
    inbox = await house.desk.box()
    index = await store.index(house.desk.id, inbox.mailbox_id)
    found = await store.messages(house.desk.id, list(index.email_ids))
    assert found == [raw if uid != 5 else None for uid, raw in house.mail.items()], "the others are read"
    (place,) = await store.stored(house.desk.id, [index.email_ids[4]])
    assert place is not None
    with pytest.raises(Damaged):
        await store.read(place)
    await house.expunge(6, 30)
    await house.pack()
    assert len(house.packs) == 2, "what is damaged stays where it is"
    assert await store.messages(house.desk.id, list(index.email_ids[:4])) == list(house.mail.values())[:4]


async def test_a_pack_cut_short_is_an_error(house: House) -> None:
    await house.pack()
    (key,) = house.sql("SELECT object FROM blob WHERE object IS NOT NULL")
    raw = bytes(obstore.get(house.bucket, key).bytes())
    obstore.put(house.bucket, key, raw[: len(raw) // 2])
    store = await house.engine.reopen()
    inbox = await house.desk.box()
    index = await store.index(house.desk.id, inbox.mailbox_id)
    for email_id, raw in zip(index.email_ids, house.mail.values(), strict=True):
        (place,) = await store.stored(house.desk.id, [email_id])
        assert place is not None
        try:
            assert await store.read(place) == raw
        except PosthouseError:
            continue


async def test_a_wrong_block_in_the_cache_is_fetched_again(house: House) -> None:
    await house.pack()
    await house.all_is_well()
    for file in (house.engine.place.folder / "objects").iterdir():
        file.write_bytes(bytes(file.stat().st_size))
    house.engine.store._engine.live.bytes = type(house.engine.store._engine.live.bytes)(10**6)
    await house.all_is_well(house.engine.store)


async def test_a_pack_that_is_gone_keeps_no_other_body_from_being_packed(house: House) -> None:
    """Somebody has removed an object: what it held is lost, and everybody else's mail is packed all the same."""
    await house.pack()
    await house.expunge(1, 20)
    await house.sweep()
    (key,) = house.sql("SELECT object FROM blob WHERE object IS NOT NULL")
    await obstore.delete_async(house.bucket, key)
    other = await house.desk.store.apply(AddAccount(address="zoe@example.test", password="", created_at=1))
    inbox = await house.desk.store.mailbox(other.account_id, "INBOX")
    assert inbox is not None
    raw = b"Subject: zoe\r\n\r\n" + b"hers " * 2_000
    await house.desk.store.apply(
        AddEmail(
            account_id=other.account_id,
            mailbox_id=inbox.mailbox_id,
            content=Content.of(raw),
            received_at=1,
        )
    )
    await house.engine.settle()
    assert await house.pack() == 1
    assert house.unpacked == 0


async def test_what_is_damaged_in_the_database_is_not_packed(house: House) -> None:
    house.sql("UPDATE blob SET content = 'other'::bytea WHERE blob_id = (SELECT min(blob_id) + 3 FROM blob)")
    assert await house.pack() == 29
    assert house.unpacked == 1


# --- what else reads bodies -----------------------------------------------------------------------------------


def keeper(house: House, tmp_path: Path) -> ClusterKeeper:
    place = house.engine.place
    return ClusterKeeper(place.url, place.objects, tmp_path / "cache", house.engine.store.mend)


async def flaws(house: House, tmp_path: Path, *, fix: bool = False) -> list[tuple[str, bool]]:
    found = keeper(house, tmp_path).verify(fix=fix)
    return sorted([(one.kind, one.mended) async for one in found if isinstance(one, Flaw)])


async def test_a_backup_has_packed_bodies_and_goes_anywhere(
    house: House, server: Database, objects: ObjectStore, tmp_path: Path
) -> None:
    await house.pack()
    await house.receive(2)
    folder = tmp_path / "backup"
    folder.mkdir()
    assert [step async for step in keeper(house, tmp_path).backup(folder)]
    before = await everything(house.engine.store)
    other = PostgresEngine(
        server.make(template="template_posthouse"), tmp_path / "other", objects=objects.url
    )
    await in_thread(
        lambda: restore_into_cluster(
            folder, other.place.url, objects.url, tmp_path / "work", same=True, now=1
        )
    )
    restored = House(server, other, house.desk)
    restored.mail = house.mail
    try:
        store = await other.open()
        assert await everything(store) == before
        assert restored.unpacked == len(house.mail), "a small body is a row again"
        assert await restored.pack() == len(house.mail)
        assert await everything(await other.reopen()) == before
        assert await flaws(restored, tmp_path) == []
    finally:
        await other.store.close()
    embedded = SqliteEngine(tmp_path / "small")
    (tmp_path / "small").mkdir()
    for path in folder.iterdir():
        path.rename(tmp_path / "small" / path.name)
    small = await embedded.open()
    assert await everything(small) == before
    await small.close()


async def test_verify_reads_packs_and_mends_their_counts(house: House, tmp_path: Path) -> None:
    await house.pack()
    await house.expunge(1, 4)
    assert await flaws(house, tmp_path) == []
    house.sql("UPDATE pack SET living = living + 7")
    assert await flaws(house, tmp_path) == [("wrong octets of a pack", False)]
    assert await flaws(house, tmp_path, fix=True) == [("wrong octets of a pack", True)]
    assert await flaws(house, tmp_path) == []
    (key,) = house.sql("SELECT object FROM blob WHERE object IS NOT NULL")
    raw = bytearray(obstore.get(house.bucket, key).bytes())
    raw[-3] ^= 1
    obstore.put(house.bucket, key, bytes(raw))
    assert await flaws(house, tmp_path / "again") == [("damaged message", False)]
    obstore.delete(house.bucket, key)
    assert await flaws(house, tmp_path / "gone") == [("damaged message", False)] * 26


async def test_a_pack_is_not_removed_while_a_body_points_at_it(house: House) -> None:
    """Whatever was counted."""
    await house.pack()
    house.sql("UPDATE pack SET living = 1")
    await house.expunge(1, 1)
    await house.sweep()
    assert len(house.sql("SELECT 1 FROM pack")) == 1
    await house.all_is_well()
