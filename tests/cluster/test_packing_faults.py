"""Packing while others pack, read, expunge and die: nothing is lost, nothing read wrong, nothing left over."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.errors import Conflict, StoreUnavailable
from posthouse.store.postgres import packing, packs
from posthouse.store.s3 import Objects
from tests.cluster.nodes import nodes
from tests.cluster.object_store import ObjectStore
from tests.cluster.packed import House

# --- races --------------------------------------------------------------------------------------------------


async def test_a_reader_in_the_middle_of_a_rewrite_looks_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.pack()
    await house.expunge(1, 20)
    store = await house.engine.reopen()
    inbox = await house.desk.box()
    index = await store.index(house.desk.id, inbox.mailbox_id)
    loop = asyncio.get_running_loop()
    read_within, rewritten = Objects.read_within, []

    async def rewrite() -> int:
        moved = await house.pack()
        await house.sweep()
        return moved

    def reading(self: Objects, *where: object) -> bytes:
        if not rewritten:  # it knows where the body is, and then it is there no more
            rewritten.append(asyncio.run_coroutine_threadsafe(rewrite(), loop).result(20))
        return read_within(self, *where)  # type: ignore[arg-type]

    monkeypatch.setattr(Objects, "read_within", reading)
    (place,) = await store.stored(house.desk.id, [index.email_ids[0]])
    assert place is not None
    assert await store.read(place) == house.mail[21]
    assert rewritten == [10]
    await house.all_is_well()


async def test_two_nodes_pack_each_body_once(
    house: House, url: str, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PACK_BODIES", 4)
    async with nodes(url, tmp_path / "more", 2, objects=objects.url) as others:
        moved = await asyncio.gather(*(house.pack(store) for store in others))
        assert sorted(moved) == [0, 30], "the lease is one node's"
        await house.receive(20)
        # Without the lease, as if one had been stuck: bodies are still in one pack each.
        monkeypatch.setattr(packs, "_must_hold", lambda tx, token: None)
        monkeypatch.setattr(packs, "take_duty", lambda tx: 1)
        moved = await asyncio.gather(*(house.pack(store) for store in others), house.pack())
        assert sum(moved) == 20
        assert all(size >= living > 0 for size, living in house.packs)
        found = house.sql(
            "SELECT p.living - sum(b.pack_octets) FROM pack p JOIN blob b ON b.pack = p.blob_id"
            " GROUP BY p.living, p.blob_id"
        )
        assert set(found) == {"0"}
        await house.all_is_well(others[0])
    await house.nothing_is_left_over()
    await house.all_is_well()


async def test_who_was_stuck_meanwhile_may_not_go_on(house: House, url: str, tmp_path: Path) -> None:
    """Put, then stuck for so long that the lease is another's and the pack was given up."""
    engine = house.engine.store._engine
    token = await engine.background(packs.take_duty)
    filled = await engine.readers.run(packing.gather, house.desk.id)
    assert filled is not None and engine.objects is not None
    number = await engine.background(lambda tx: packs.register(tx, filled.new, token))
    await engine.objects.put(filled.content, filled.new.key)
    house.sql("UPDATE lease SET token = token + 1")
    with pytest.raises(Conflict, match="Another node"):
        await engine.background(lambda tx: packs.switch(tx, number, filled.new, token))
    house.sql("UPDATE lease SET token = token - 1")
    await house.sweep()
    with pytest.raises(Conflict, match="given up"):
        await engine.background(lambda tx: packs.switch(tx, number, filled.new, token))
    assert house.unpacked == 30
    await house.nothing_is_left_over()
    assert await house.pack() == 30
    await house.all_is_well()


async def test_what_goes_while_a_pack_is_made_is_not_in_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Objects.put

    async def slow(self: Objects, *what: object) -> str:
        await house.expunge(3, 12)
        return await put(self, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(Objects, "put", slow)
    assert await house.pack() == 20
    ((size, living),) = house.packs
    assert living < size
    await house.all_is_well()


# --- faults -------------------------------------------------------------------------------------------------


async def test_while_the_object_store_is_away_bodies_stay_and_mail_flows(
    house: House, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OBJECT_TIMEOUT", 1.0)
    await house.engine.reopen()
    objects.pause()
    try:
        packed = asyncio.create_task(house.pack())
        await house.receive(5)
        await house.all_is_well(house.engine.store)
        with pytest.raises(StoreUnavailable):
            await packed
        assert house.unpacked == 35
        await house.all_is_well(house.engine.store)
    finally:
        objects.go_on()
    assert await house.pack() == 35
    await house.all_is_well()
    await house.nothing_is_left_over()
    await house.all_is_well()


def killed_at(step: str, *arguments: str) -> None:
    """Let a node pack up to a step, and kill it there."""
    command = [sys.executable, "-m", "tests.cluster.packer", *arguments, step]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as doomed:
        assert doomed.stdout is not None
        try:
            assert doomed.stdout.readline().strip() == "here"
        finally:
            doomed.kill()


@pytest.mark.parametrize(
    ("rewriting", "step"),
    [
        *((False, step) for step in ("registered", "put", "switched")),
        *((True, step) for step in ("registered", "put", "switched", "removed")),
    ],
)
async def test_a_node_killed_at_any_step_costs_nothing(
    house: House,
    objects: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rewriting: bool,
    step: str,
) -> None:
    monkeypatch.setattr(limits, "NODE_SILENCE", 1.0)
    if rewriting:
        await house.pack()
        await house.expunge(1, 20)
        house.sql("UPDATE lease SET holder = ''")
    await asyncio.to_thread(killed_at, step, house.engine.place.url, objects.url, str(tmp_path / "doomed"))
    await house.all_is_well()
    await asyncio.sleep(limits.NODE_SILENCE)
    await house.pack()
    assert house.unpacked == 0
    assert [size == living for size, living in house.packs] == [True]
    await house.all_is_well()
    await house.nothing_is_left_over()
    await house.all_is_well()


# --- versions -----------------------------------------------------------------------------------------------


OLD_BEAT = (
    "INSERT INTO node (node, name, roles, version, seen_at)"
    " VALUES ('old-1', 'old', '', '0.0.9', extract(epoch FROM clock_timestamp()))"
    " ON CONFLICT (node) DO UPDATE SET seen_at = extract(epoch FROM clock_timestamp())"
)
"""How a node of the version before packs gave its sign of life."""


async def test_nothing_is_packed_beside_a_node_that_cannot_read_it(house: House) -> None:
    house.sql(OLD_BEAT)
    with pytest.raises(StoreUnavailable, match="old-1 cannot read"):
        await house.pack()
    assert (house.unpacked, house.packs) == (30, [])
    house.sql(OLD_BEAT)  # it lives on
    house.sql("DELETE FROM node WHERE node = 'old-1'")
    assert await house.pack() == 30
    with pytest.raises(RuntimeError, match="node_reads_packs"):
        house.sql(OLD_BEAT)  # no sign of life, no /ready
    assert set(house.sql("SELECT object IS NULL AND content IS NULL FROM blob WHERE pack IS NOT NULL")) == {
        "t"
    }, "what it would read of a packed body is nothing at all"
    await house.all_is_well()
