"""The job that packs: small bodies that grew old leave the database for packs in the object store, account by account.

Each pack is read and compressed in a reader's thread, registered, put, and then one commit points its bodies at it
(`packs.py`). Packs of which much is dead are rewritten, small ones joined. It may be cut off at any instant: what was
put and not pointed at is given up after a grace. While the object store is away bodies stay where they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.store.compression import compressed
from posthouse.store.foreground import Foreground
from posthouse.store.memory.readers import Readers
from posthouse.store.model import Content
from posthouse.store.postgres import packs
from posthouse.store.postgres.bodies import unpacked
from posthouse.store.postgres.packs import NewPack, Part
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.s3 import Objects, new_key
from posthouse.store.unforeseen import told

log = logging.getLogger("posthouse.store")

FIRST_LOOK: Final = 600.0
"""Seconds after the start: nodes that are replaced one by one have come by then."""
ACCOUNTS_AT_ONCE: Final = 1_000
"""Accounts read with one statement."""
_ACCOUNTS: Final = "SELECT account_id FROM account WHERE account_id > $1 ORDER BY account_id LIMIT $2"
ALL_DAYS: Final = 8
"""Every so many days an account's bodies are all looked at, not only those with numbers above what is packed: a node
that hardly stores any goes on giving out low ones."""
_BEGIN: Final = (
    "SELECT extract(epoch FROM clock_timestamp())::bigint, coalesce(max(through), 0)::bigint FROM pack"
    " WHERE account_id = $1"
)
_WAITING: Final = (
    "SELECT blob_id, size FROM blob WHERE account_id = $1 AND blob_id > $2 AND content IS NOT NULL"
    " AND stored_at <= $3 AND size BETWEEN 1 AND $4 ORDER BY blob_id LIMIT $5"
)
_BODIES: Final = (
    "SELECT blob_id, digest, content FROM blob WHERE account_id = $1 AND blob_id = ANY($2::bigint[])"
    " AND content IS NOT NULL ORDER BY blob_id"
)
_PACKS: Final = (
    "SELECT p.blob_id, b.size, b.object, p.living, p.through FROM pack p"
    " JOIN blob b ON b.account_id = p.account_id AND b.blob_id = p.blob_id"
    " WHERE p.account_id = $1 AND p.living > 0 ORDER BY p.blob_id"
)
_LIVING: Final = (
    "SELECT blob_id, digest, size, pack_offset, pack_octets FROM blob WHERE account_id = $1 AND pack = $2"
    " ORDER BY blob_id"
)


class Filled(msgspec.Struct, frozen=True):
    """A pack with its octets."""

    new: NewPack
    content: Content


class Old(msgspec.Struct, frozen=True):
    """A pack that may be rewritten."""

    number: int
    size: int
    key: str
    living: int
    through: int


class Packer:
    """The job."""

    def __init__(
        self,
        readers: Readers[Reader],
        objects: Objects,
        background: Callable[[Callable[[Transaction], Any]], Awaitable[Any]],
        foreground: Foreground,
    ) -> None:
        self._readers = readers
        self._objects = objects
        self._background = background
        self._foreground = foreground

    async def run(self) -> None:
        """For as long as the store is open."""
        await asyncio.sleep(min(FIRST_LOOK, limits.PACK_LOOK))
        while True:
            try:
                await self.look()
            except Exception as fault:
                told(log, "packing is put off", fault)
            await asyncio.sleep(limits.PACK_LOOK)

    async def look(self) -> int:
        """Pack and rewrite what there is, if it is ours to do; how many bodies went into new packs."""
        token = await self._background(packs.take_duty)
        if token is None:
            return 0
        while await self._background(lambda tx: packs.give_up(tx, limits.OBJECT_GRACE)) >= limits.SWEEP_BATCH:
            pass
        moved = 0
        async for account_id in self._accounts():
            moved += await self._as_long_as_it_helps(token, gather, account_id)
            moved += await self._as_long_as_it_helps(token, remake, account_id, self._objects)
        return moved

    async def _accounts(self) -> AsyncIterator[int]:
        last = 0
        while rows := await self._readers.run(
            lambda reader, after: reader.db.fetch(_ACCOUNTS, after, ACCOUNTS_AT_ONCE), last
        ):
            for (last,) in rows:
                yield last

    async def _as_long_as_it_helps(
        self, token: int, fill: Callable[..., Filled | None], account_id: int, *more: Any
    ) -> int:
        """Make one pack of an account after the other; how many bodies are in them."""
        moved = 0
        while True:
            began = time.monotonic()
            filled = await self._readers.run(fill, account_id, *more)
            await asyncio.sleep(self._foreground.rest(time.monotonic() - began))
            if filled is None:
                return moved
            some = await self._keep(filled, token)
            if not some:  # they went meanwhile
                return moved
            moved += some

    async def _keep(self, filled: Filled, token: int) -> int:
        """Register it, put it, point at it; how many bodies it has then."""
        new = filled.new
        number = await self._background(lambda tx: packs.register(tx, new, token))
        await self._objects.put(filled.content, new.key)
        moved: int = await self._background(lambda tx: packs.switch(tx, number, new, token))
        return moved


# --- in a reader's thread -----------------------------------------------------------------------------------


class _Filling:
    """The octets of a new pack, and what is where."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._parts: list[Part] = []
        self._size = 0

    @property
    def full(self) -> bool:
        return len(self._parts) >= limits.PACK_BODIES

    def add(self, blob_id: int, digest: bytes, octets: bytes, was: int | None = None) -> None:
        self._parts.append(Part(blob_id, digest, self._size, len(octets), was))
        self._pieces.append(octets)
        self._size += len(octets)

    def filled(self, account_id: int, through: int) -> Filled | None:
        """None when nothing is in it."""
        if not self._parts:
            return None
        raw = b"".join(self._pieces)
        digest = hashlib.sha256(raw).digest()[:16]
        return Filled(NewPack(account_id, new_key(), len(raw), digest, through, self._parts), Content.of(raw))


def gather(reader: Reader, account_id: int) -> Filled | None:
    """Bodies of an account that have been in the database for PACK_AFTER. None: too few to be worth it."""
    ((now, through),) = reader.db.fetch(_BEGIN, account_id)
    everything = (now // 86_400 + account_id) % ALL_DAYS == 0
    rows = reader.db.fetch(
        _WAITING, account_id, 0 if everything else through, now - int(limits.PACK_AFTER),
        limits.OBJECT_OCTETS, limits.PACK_BODIES,
    )  # fmt: skip
    chosen: list[int] = []
    octets = 0
    for blob_id, size in rows:
        if octets + size > limits.PACK_OCTETS:
            break
        chosen.append(blob_id)
        octets += size
    if octets < limits.PACK_LEAST and len(rows) < limits.PACK_BODIES:
        return None
    filling = _Filling()
    for blob_id, digest, raw in reader.db.fetch(_BODIES, account_id, chosen):
        if unpacked(raw, len(raw), digest) is None:
            log.error("message bytes %d are damaged in the database: they stay there", blob_id)
            continue
        filling.add(blob_id, digest, compressed(raw) or raw)
    return filling.filled(account_id, chosen[-1])


def remake(reader: Reader, account_id: int, objects: Objects) -> Filled | None:
    """What lives of the packs of an account that are worth rewriting, as one. None: there are none."""
    worth = choose([Old(*row) for row in reader.db.fetch(_PACKS, account_id)])
    filling = _Filling()
    for old in worth:
        try:
            raw = objects.whole(old.key)
        except NotFound:  # its bodies are lost; those of others must not wait for that
            log.error("the pack %s is not in the object store: what it holds cannot be read", old.key)
            continue
        for blob_id, digest, size, offset, octets in reader.db.fetch(_LIVING, account_id, old.number):
            stored = raw[offset : offset + octets]
            if unpacked(stored, size, digest) is None:
                log.error("message bytes %d are damaged in the pack %s: they stay there", blob_id, old.key)
            elif not filling.full:
                filling.add(blob_id, digest, stored, old.number)
    return filling.filled(account_id, max((old.through for old in worth), default=0))


def choose(packed: list[Old]) -> list[Old]:
    """Packs that are mostly dead, or small and many; together at most one pack's worth."""
    dead = [old for old in packed if old.size - old.living >= old.size * limits.PACK_DEAD_SHARE]
    small = [old for old in packed if old not in dead and old.size < limits.PACK_LEAST // 2]
    if len(small) < limits.PACK_REMNANTS:
        small = []
    chosen: list[Old] = []
    room = limits.PACK_OCTETS
    for old in dead + small:
        if old.living <= room:
            chosen.append(old)
            room -= old.living
    return chosen
