"""Reading message bytes, wherever they are: in the row, an object of their own, or a pack. In a reader's thread.

A packed body is always read whole and compared with its digest, so that a pack with wrong bytes gives an error and
never somebody else's mail. When its pack was rewritten between the look and the reading, the look is repeated.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Damaged, NotFound, StoreUnavailable
from posthouse.store.compression import decompressed
from posthouse.store.model import Stored
from posthouse.store.postgres.readers import Reader
from posthouse.store.s3 import Objects

log = logging.getLogger("posthouse.store")

_OF_PACK: Final = "account_id, blob_id, size, digest, pack, pack_offset, pack_octets"
_BLOBS: Final = (
    f"SELECT content, object, {_OF_PACK} FROM blob"
    " WHERE account_id = ANY($1::bigint[]) AND blob_id = ANY($2::bigint[])"
)
_PART: Final = (
    "SELECT CASE WHEN object IS NULL THEN substring(content FROM $3::int FOR $4::int) END AS content, object,"
    f" {_OF_PACK} FROM blob WHERE account_id = $1 AND blob_id = $2"
)
_PACKS: Final = (
    "SELECT account_id, blob_id, object, size FROM blob"
    " WHERE account_id = ANY($1::bigint[]) AND blob_id = ANY($2::bigint[])"
)
_DIGEST: Final = "SELECT digest FROM blob WHERE account_id = $1 AND blob_id = $2"


class Packed(msgspec.Struct, frozen=True):
    """Where a body is in a pack, and how it is recognised."""

    blob_id: int
    size: int
    digest: bytes
    key: str
    pack_size: int
    offset: int
    octets: int

    @property
    def end(self) -> int:
        """Where it ends in the pack."""
        return self.offset + self.octets


def unpacked(stored: bytes, size: int, digest: bytes) -> bytes | None:
    """A body from its octets in a pack; None when they are not what was once packed."""
    try:
        raw = stored if len(stored) == size else decompressed(stored, size)
    except OSError:
        return None
    return raw if hashlib.sha256(raw).digest()[: len(digest)] == digest else None


def read_blobs(reader: Reader, places: Sequence[Stored]) -> dict[int, bytes]:
    """Whole blobs (the caller bounds the sum of sizes); those that are gone or damaged are left out.

    One damaged message must not hide the others; asked for alone (`read_blob`) it is an error.
    """
    if not places:
        return {}
    accounts = sorted({place.account_id for place in places})
    rows = reader.db.fetch(_BLOBS, accounts, [place.blob_id for place in places])
    packs = _packs(reader, rows)
    found: dict[int, bytes] = {}
    for row in rows:
        blob_id = row["blob_id"]
        try:
            if row["pack"] is not None:
                found[blob_id] = _packed(reader, row, packs)
            elif row["object"] is not None:
                found[blob_id] = _of_object(reader, row["object"], 0, row["size"])
            else:
                found[blob_id] = row["content"]
        except NotFound:
            log.error("message bytes %d are not in the object store", blob_id)
        except Damaged:
            log.error("message bytes %d are damaged in the object store", blob_id)
    return found


def read_blob(reader: Reader, place: Stored, offset: int = 0, length: int | None = None) -> bytes:
    """Octets of a blob. NotFound when it is gone; StoreUnavailable (Damaged)."""
    most = (1 << 31) - 2 - offset if length is None else length
    if offset >= (1 << 31) - 1 or most <= 0:
        return b""
    rows = reader.db.fetch(_PART, place.account_id, place.blob_id, offset + 1, most)
    if not rows:
        raise NotFound("The message is gone.")
    (row,) = rows
    end = row["size"] if length is None else min(offset + length, row["size"])
    if row["pack"] is not None:
        return _packed(reader, row, _packs(reader, rows))[offset:end]
    if row["object"] is None:
        return bytes(row["content"])
    return _of_object(reader, row["object"], offset, end) if offset < end else b""


def read_whole(reader: Reader, place: Stored) -> bytes:
    """A blob, compared with its digest. NotFound when it is gone, Damaged."""
    try:
        raw = read_blob(reader, place)
    except NotFound as fault:
        if not reader.db.fetch(_DIGEST, place.account_id, place.blob_id):
            raise
        raise Damaged("the bytes are not where they should be") from fault
    rows = reader.db.fetch(_DIGEST, place.account_id, place.blob_id)
    if not rows:
        raise NotFound("The message is gone.")
    if hashlib.sha256(raw).digest()[: len(rows[0][0])] != rows[0][0]:
        raise Damaged("the bytes are not those that were stored")
    return raw


def read_part(reader: Reader, stored: Stored, offset: int, length: int | None) -> bytes:
    """Octets of a message, prefix and blob as one."""
    before = len(stored.prefix)
    end = stored.size if length is None else min(offset + length, stored.size)
    head = stored.prefix[offset:end]
    if end <= before:
        return head
    start = max(offset - before, 0)
    return head + read_blob(reader, stored, start, end - before - start)


def _objects(reader: Reader) -> Objects:
    if reader.objects is None:
        raise StoreUnavailable("The message is in an object store that is not configured here.")
    return reader.objects


def _of_object(reader: Reader, key: str, start: int, end: int) -> bytes:
    """Octets of a body that has an object of its own: all of them, for their number is told before. Damaged.

    Once more from the object store when what the cache has is too short.
    """
    objects = _objects(reader)
    for _ in range(2):
        raw = objects.read(key, start, end)
        if len(raw) == end - start:
            return raw
        objects.forget(key)
    log.error("the object %s is too short", key)
    raise Damaged("The message is damaged.")


# --- packs ----------------------------------------------------------------------------------------------------

Packs = dict[tuple[int, int], tuple[str, int]]
"""Key and octets of packs, by account and number."""


def _packs(reader: Reader, rows: Iterable[Any]) -> Packs:
    wanted = {(row["account_id"], row["pack"]) for row in rows if row["pack"] is not None}
    if not wanted:
        return {}
    accounts, packs = map(sorted, map(set, zip(*wanted, strict=True)))
    return {
        (account_id, pack): (key, size)
        for account_id, pack, key, size in reader.db.fetch(_PACKS, accounts, packs)
    }


def _packed(reader: Reader, row: Any, packs: Packs) -> bytes:
    """A whole body out of its pack. NotFound when it is nowhere, also after having looked again."""
    account_id, blob_id = row["account_id"], row["blob_id"]
    for _ in range(limits.PACK_TRIES):
        pack = packs.get((account_id, row["pack"]))
        if pack is not None:
            place = Packed(blob_id, row["size"], row["digest"], *pack, row["pack_offset"], row["pack_octets"])
            try:
                return _read(_objects(reader), place)
            except NotFound:
                log.info("message bytes %d are not in pack %d: looking again", blob_id, row["pack"])
        rows = reader.db.fetch(_PART, account_id, blob_id, 1, 0)
        if not rows:
            break
        (row,) = rows
        packs = _packs(reader, rows)
    raise NotFound("The message is gone.")


def _read(objects: Objects, place: Packed) -> bytes:
    """Once more from the object store when what the cache has is wrong."""
    for _ in range(2):
        stored = objects.read_within(place.key, place.offset, place.end, place.pack_size)
        raw = unpacked(stored, place.size, place.digest)
        if raw is not None:
            return raw
        objects.forget_within(place.key, place.offset, place.end)
    log.error("message bytes %d are damaged in the pack %s", place.blob_id, place.key)
    raise Damaged("The message is damaged.")
