"""Message bytes within a transaction: a row for each account that has them, so that rows stay with their account.

Small bytes are in the row, until they grow old and go into a pack (`packs.py`). Large ones were put into the object
store before the transaction began; the rows of all accounts of one commit then point at the same object. A blob has one
owner unless `blob_share` says more, so copying a message within an account never touches its bytes. Objects that may
have lost their last row are noted as stray, and swept when nothing points at them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from posthouse.limits import STAGE_BLOCK
from posthouse.store.model import Content
from posthouse.store.postgres import packs, strays

if TYPE_CHECKING:
    from posthouse.store.postgres.transaction import Transaction


class PutObject(msgspec.Struct, frozen=True):
    """A content in the object store."""

    key: str
    digest: bytes


PutObjects = Mapping[int, PutObject]
"""Contents in the object store, by the identity of the Content (which the commit keeps alive)."""

_OWN: Final = (
    "INSERT INTO blob_share (account_id, blob_id, owners)"
    " SELECT a, b, 1 + n FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (a, b, n)"
    " ON CONFLICT (account_id, blob_id) DO UPDATE SET owners = blob_share.owners + excluded.owners - 1"
)
_COPIED: Final = (
    "INSERT INTO blob_share (account_id, blob_id, owners)"
    " SELECT account_id, blob_id, 1 + count(*) FROM email"
    " WHERE account_id = $1 AND email_id BETWEEN $2 AND $3 GROUP BY account_id, blob_id"
    " ON CONFLICT (account_id, blob_id) DO UPDATE SET owners = blob_share.owners + excluded.owners - 1"
)
_LOCK: Final = (
    "SELECT 1 FROM blob JOIN unnest($1::bigint[], $2::bigint[]) AS lost (a, b)"
    " ON account_id = a AND blob_id = b ORDER BY account_id, blob_id FOR UPDATE OF blob"
)
_OWNERS: Final = (
    "SELECT account_id, blob_id, owners FROM blob_share JOIN unnest($1::bigint[], $2::bigint[]) AS lost (a, b)"
    " ON account_id = a AND blob_id = b ORDER BY account_id, blob_id FOR UPDATE OF blob_share"
)
_UNSHARE: Final = (
    "DELETE FROM blob_share USING unnest($1::bigint[], $2::bigint[]) AS gone (a, b)"
    " WHERE account_id = a AND blob_id = b"
)
_FEWER: Final = (
    "UPDATE blob_share SET owners = n FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS left_ (a, b, n)"
    " WHERE account_id = a AND blob_id = b"
)
_REMOVE: Final = (
    "DELETE FROM blob USING unnest($1::bigint[], $2::bigint[]) AS gone (a, b)"
    " WHERE account_id = a AND blob_id = b RETURNING object, account_id, pack, pack_octets"
)


class Blobs:
    """The blobs of one transaction after the other."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._of_content: dict[tuple[int, int], int] = {}
        self._new_owners: dict[tuple[int, int], int] = {}
        self.objects: PutObjects = {}

    def start_submission(self) -> None:
        """Contents are shared within one commit only."""
        self._of_content.clear()

    def reset(self) -> None:
        """Forget what was not written."""
        self._of_content.clear()
        self._new_owners.clear()

    @property
    def shares(self) -> bool:
        """Whether blobs have more owners that are still to be written."""
        return bool(self._new_owners)

    def write_owners(self) -> None:
        """Write that blobs have more owners."""
        if self._new_owners:
            owners, self._new_owners = self._new_owners, {}
            accounts, blobs = zip(*owners, strict=True)
            self._tx.db.fetch(_OWN, list(accounts), list(blobs), list(owners.values()))

    def of(self, account_id: int, content: Content, /) -> int:
        """The account's blob of a content, stored at its first use in this commit, with one owner more."""
        key = (account_id, id(content))
        blob_id = self._of_content.get(key)
        if blob_id is not None:
            self.own(account_id, blob_id)
            return blob_id
        blob_id = self._of_content[key] = self._tx.take_numbers("blob")
        row: tuple[Any, ...]
        put = self.objects.get(id(content))
        if put is not None:
            row = (account_id, blob_id, content.size, put.digest, put.key, None)
        else:
            # The database computes the digest: hashlib lets go of the interpreter lock, and beside a busy event loop
            # a thread waits for it up to 5 ms, for each message of a batch.
            row = (account_id, blob_id, content.size, None, None, whole(content))
        self._tx.add_row("blob", row)
        return blob_id

    def own(self, account_id: int, blob_id: int, /) -> None:
        """One owner more."""
        self._tx.writes += 1
        key = (account_id, blob_id)
        self._new_owners[key] = self._new_owners.get(key, 0) + 1

    def copied(self, account_id: int, first: int, last: int) -> None:
        """Emails from one number to another were made that share the blobs of others."""
        self._tx.fetch(_COPIED, account_id, first, last)

    def disown(self, account_id: int, blob_ids: Sequence[int], /) -> None:
        """One owner less for each time a blob of an account is named; blobs without owners are removed."""
        self.disown_pairs((account_id, blob_id) for blob_id in blob_ids)

    def disown_pairs(self, blobs: Iterable[tuple[int, int]]) -> None:
        """One owner less for each time a blob (account, number) is named; blobs without owners are removed.

        Another node may add an owner at this moment, or take one away: it waits for us, or we for it. Both locks are
        needed: who queues a message locks its blob and may make the row of owners, who copies one only has that row.
        """
        lost = Counter(blobs)
        if not lost:
            return
        these = [list(column) for column in zip(*lost, strict=True)]
        self._tx.fetch(_LOCK, *these)
        shared = {(a, b): owners for a, b, owners in self._tx.fetch(_OWNERS, *these)}
        rest = {blob: shared.get(blob, 1) - times for blob, times in lost.items()}
        dead = [blob for blob, owners in rest.items() if owners <= 0]
        unshared = [blob for blob, owners in rest.items() if owners <= 1 and blob in shared]
        fewer = [(*blob, owners) for blob, owners in rest.items() if owners > 1]
        if unshared:
            self._tx.fetch(_UNSHARE, *map(list, zip(*unshared, strict=True)))
        if fewer:
            self._tx.fetch(_FEWER, *map(list, zip(*fewer, strict=True)))
        if dead:
            gone = self._tx.fetch(_REMOVE, *map(list, zip(*dead, strict=True)))
            packs.lose(self._tx, [(a, pack, octets) for _, a, pack, octets in gone if pack is not None])
            strays.note(self._tx, {key for key, *_ in gone if key is not None}, self._tx.now)


def whole(content: Content) -> bytes:
    """All octets of a content (in the writer's thread)."""
    return content.beginning() if content.path is None else b"".join(content.blocks(STAGE_BLOCK))


def digest_of(content: Content) -> bytes:
    """SHA-256 of the octets, its first 16 octets."""
    digest = hashlib.sha256()
    for block in content.blocks(STAGE_BLOCK):
        digest.update(block)
    return digest.digest()[:16]
