"""Packs within transactions: who may pack, which bodies are where, what of a pack still lives.

A pack is registered before its object is put: its row is what its commit needs, so that a node which was stuck in
between and whose pack was given up meanwhile cannot point a body at it. Bodies are repointed only while they are where
they were when they were read. A pack that lost its last body goes with the same transaction, its object a grace later.
Rows are locked in this order: the new pack, bodies, old packs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, StoreUnavailable
from posthouse.store.postgres import leases, strays

if TYPE_CHECKING:
    from posthouse.store.postgres.transaction import Transaction

PACKS: Final = 11
"""The schema that a node must know to read packed bodies."""
DUTY: Final = "duty packing"
"""The lease of the node that packs."""
_NOW: Final = "extract(epoch FROM clock_timestamp())::float8"
_THESE: Final = "unnest($1::bigint[], $2::bigint[]) AS these (a, b)"

_ADMITS_KNOWING: Final = (
    "SELECT 1 FROM pg_constraint WHERE conrelid = 'node'::regclass AND conname = 'node_reads_packs'"
)
_ADMIT_KNOWING: Final = f"ALTER TABLE node ADD CONSTRAINT node_reads_packs CHECK (schema >= {PACKS})"
_IGNORANT: Final = f"SELECT node FROM node WHERE schema < {PACKS} LIMIT 1"
_HOLDS: Final = "SELECT 1 FROM lease WHERE name = $1 AND node = $2 AND token = $3 FOR SHARE"
_GIVEN_UP: Final = (
    f"SELECT account_id, blob_id FROM pack WHERE living <= 0 AND at < {_NOW} - $1"
    " LIMIT $2 FOR UPDATE SKIP LOCKED"
)
_LOCK_BODIES: Final = (
    "SELECT blob_id FROM blob WHERE account_id = $1 AND blob_id = ANY($2::bigint[])"
    " ORDER BY blob_id FOR UPDATE"
)
_REPOINT: Final = (
    "UPDATE blob SET content = NULL, pack = $2, pack_offset = n.o, pack_octets = n.n"
    " FROM unnest($3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[]) AS n (b, d, o, n, was)"
    " WHERE account_id = $1 AND blob_id = n.b AND digest = n.d AND object IS NULL"
    " AND pack IS NOT DISTINCT FROM n.was RETURNING n.n, n.was"
)
_LOSE: Final = (
    "UPDATE pack SET living = living - n FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS lost (a, b, n)"
    " WHERE account_id = a AND blob_id = b RETURNING account_id, blob_id, living"
)
_REMOVE: Final = (
    f"DELETE FROM pack USING {_THESE} WHERE account_id = a AND blob_id = b AND living <= 0"
    " AND NOT EXISTS (SELECT 1 FROM blob WHERE blob.account_id = a AND blob.pack = b)"
    " RETURNING account_id, blob_id"
)
_REMOVE_BLOBS: Final = (
    f"DELETE FROM blob USING {_THESE} WHERE account_id = a AND blob_id = b RETURNING object"
)


class Part(msgspec.Struct, frozen=True):
    """A body in a pack that is being made."""

    blob_id: int
    digest: bytes
    offset: int
    octets: int
    was: int | None
    """The pack it is in until now; None: in the database."""


class NewPack(msgspec.Struct, frozen=True):
    """A pack that is being made: what the database must know of it."""

    account_id: int
    key: str
    size: int
    digest: bytes
    through: int
    """The account's bodies up to this one have been looked at."""
    parts: list[Part]


# --- who may pack -----------------------------------------------------------------------------------------


def take_duty(tx: Transaction) -> int | None:
    """Become the node that packs: the lease's token; None when another is. StoreUnavailable: a node cannot read packs.

    From the first time on a node that cannot read packs is not let in among the nodes, and so is never ready.
    """
    token = leases.acquire(tx.db, DUTY, tx.node, tx.node)
    if token is None:
        return None
    if not tx.fetch(_ADMITS_KNOWING):
        ignorant = tx.fetch(_IGNORANT)
        if ignorant:
            raise StoreUnavailable(f"Node {ignorant[0][0]} cannot read packed bodies.")
        tx.fetch(_ADMIT_KNOWING)  # fails when one has come just now
    return token


def _must_hold(tx: Transaction, token: int) -> None:
    if not tx.fetch(_HOLDS, DUTY, tx.node, token):
        raise Conflict("Another node packs now.")


# --- a new pack -------------------------------------------------------------------------------------------


def register(tx: Transaction, new: NewPack, token: int) -> int:
    """A pack whose object will be put now; its number. Conflict: another node packs."""
    _must_hold(tx, token)
    number = tx.take_numbers("blob")
    tx.fetch(
        "INSERT INTO blob (account_id, blob_id, size, digest, object) VALUES ($1, $2, $3, $4, $5)",
        *(new.account_id, number, new.size, new.digest, new.key),
    )
    tx.fetch(f"INSERT INTO pack VALUES ($1, $2, 0, $3, {_NOW})", new.account_id, number, 0)
    return number


def switch(tx: Transaction, number: int, new: NewPack, token: int) -> int:
    """The object is put: point the bodies at it that are still where they were; how many.

    Conflict: another node packs, or the pack was given up meanwhile.
    """
    _must_hold(tx, token)
    known = "SELECT 1 FROM pack WHERE account_id = $1 AND blob_id = $2 FOR UPDATE"
    if not tx.fetch(known, new.account_id, number):
        raise Conflict("The pack was given up meanwhile.")
    parts = new.parts
    blobs = [part.blob_id for part in parts]
    tx.fetch(_LOCK_BODIES, new.account_id, blobs)
    moved = tx.fetch(
        _REPOINT, new.account_id, number, blobs, [part.digest for part in parts],
        [part.offset for part in parts], [part.octets for part in parts], [part.was for part in parts],
    )  # fmt: skip
    tx.fetch(
        "UPDATE pack SET living = $3, through = $4 WHERE account_id = $1 AND blob_id = $2",
        *(new.account_id, number, sum(row[0] for row in moved), new.through),
    )
    lose(tx, [(new.account_id, was, octets) for octets, was in moved if was is not None])
    if not moved:
        _remove(tx, [(new.account_id, number)])
    return len(moved)


# --- what of packs lives ------------------------------------------------------------------------------------


def lose(tx: Transaction, lost: Iterable[tuple[int, int, int]]) -> None:
    """Octets of packs (account, pack, octets) that nothing points at any more; packs without any are removed."""
    octets: Counter[tuple[int, int]] = Counter()
    for account_id, pack, count in lost:
        octets[account_id, pack] += count
    if octets:
        ordered = sorted((*pack, count) for pack, count in octets.items())
        rows = tx.fetch(_LOSE, *map(list, zip(*ordered, strict=True)))
        _remove(tx, [(account_id, pack) for account_id, pack, living in rows if living <= 0])


def give_up(tx: Transaction, grace: float) -> int:
    """Remove packs that were begun longer than `grace` seconds ago and have no bodies: their node died; how many."""
    packs = [(row[0], row[1]) for row in tx.fetch(_GIVEN_UP, grace, limits.SWEEP_BATCH)]
    _remove(tx, packs)
    return len(packs)


def _remove(tx: Transaction, packs: list[tuple[int, int]]) -> None:
    """Only those that no body points at, whatever was counted."""
    if not packs:
        return
    gone = tx.fetch(_REMOVE, *map(list, zip(*packs, strict=True)))
    if gone:
        objects = tx.fetch(_REMOVE_BLOBS, *map(list, zip(*gone, strict=True)))
        strays.note(tx, {row[0] for row in objects}, tx.now)
