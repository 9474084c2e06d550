"""Message bytes within a transaction: stored once for all who own them, removed with the last owner.

A blob has one owner unless `blob_share` says more, so the common message needs no row there, and copying a message
never touches its bytes. Small bytes are a row, larger ones go to the segment; a staged file becomes a segment itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.model import (
    Content,
)
from posthouse.store.sqlite.connection import members
from posthouse.store.sqlite.segments import DIGEST_OCTETS, HEADER_OCTETS, digest_of

if TYPE_CHECKING:
    from posthouse.store.sqlite.transaction import Transaction


class Blobs:
    """The blobs of one transaction after the other."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._of_content: dict[int, int] = {}
        self._new_owners: dict[int, int] = {}
        self.adopting: list[int] = []
        """Staged files that are segments once this transaction is committed."""

    def start_submission(self) -> None:
        """Contents are shared within one commit only."""
        self._of_content.clear()

    def reset(self) -> None:
        """Forget what was not written."""
        self._of_content.clear()
        self._new_owners.clear()

    def take_new_owners(self) -> Iterable[tuple[int, int]]:
        """(blob, more owners), to be written now."""
        owners, self._new_owners = self._new_owners, {}
        return owners.items()

    def of(self, account_id: int, content: Content) -> int:
        """The blob of a content, stored at its first use in this commit, with one owner more."""
        blob_id = self._of_content.get(id(content))
        if blob_id is not None:
            self.own(account_id, blob_id)
        elif content.path is None:
            blob_id = self._store(content)
        else:
            blob_id = self._adopt(account_id, content)
        self._of_content[id(content)] = blob_id
        return blob_id

    def own(self, _account_id: int, blob_id: int) -> None:
        """One owner more."""
        self._tx.writes += 1
        self._new_owners[blob_id] = self._new_owners.get(blob_id, 0) + 1

    def keep(self, blob_id: int, raw: bytes) -> None:
        """Store bytes under a number that they have already (a move)."""
        self._store(Content.of(raw), blob_id)

    def _store(self, content: Content, blob_id: int = 0) -> int:
        tx = self._tx
        blob_id = blob_id or tx.take_numbers("blob")
        digest = digest_of(content.chunks)
        row: tuple[Any, ...]
        if content.size <= limits.INLINE_OCTETS:
            row = (blob_id, content.size, digest, None, None, None, content.beginning())
        else:
            segment, offset = tx.segments.place(content.chunks, content.size, digest)
            row = (blob_id, content.size, digest, segment, offset, None, None)
        tx.add_row("blob", row)
        return blob_id

    def _adopt(self, account_id: int, content: Content) -> int:
        """A staged file is durable already; it becomes a segment of its own."""
        tx = self._tx
        assert content.path is not None
        segment = int(content.path.stem)
        known = tx.query("SELECT blob_id FROM blob WHERE segment = ?", (segment,))
        if known:  # the same content in an earlier commit
            self.own(account_id, known[0][0])
            return int(known[0][0])
        if segment in tx.folder.adopted and not tx.query(
            "SELECT 1 FROM segment WHERE segment = ?", (segment,)
        ):
            # What had it is gone, and so is the segment, or it is just being removed.
            raise StoreUnavailable("The message's octets are gone: it must be sent again.")
        with content.path.open("rb") as file:
            digest = file.read(HEADER_OCTETS)[-DIGEST_OCTETS:]
        blob_id = tx.take_numbers("blob")
        tx.add_row("blob", (blob_id, content.size, digest, segment, HEADER_OCTETS, None, None))
        tx.execute(
            "INSERT OR IGNORE INTO segment VALUES (?, ?, 0, 1)", (segment, HEADER_OCTETS + content.size)
        )
        self.adopting.append(segment)
        return blob_id

    def disown(self, _account_id: int, blob_ids: Sequence[int]) -> None:
        """One owner less for each time a blob is named; blobs without owners are removed."""
        tx = self._tx
        lost = Counter(blob_ids)
        shared = dict(
            tx.query(
                "SELECT blob_id, owners FROM blob_share WHERE blob_id IN (SELECT value FROM carray(?))",
                (members(lost),),
            )
        )
        dead = []
        for blob_id, times in lost.items():
            left = shared.get(blob_id, 1) - times
            if left <= 0:
                dead.append(blob_id)
            if left > 1:
                tx.execute("UPDATE blob_share SET owners = ? WHERE blob_id = ?", (left, blob_id))
            elif blob_id in shared:
                tx.execute("DELETE FROM blob_share WHERE blob_id = ?", (blob_id,))
        if dead:
            self.remove(dead)

    def remove(self, blob_ids: Sequence[int]) -> None:
        """Remove blobs that nobody owns."""
        tx = self._tx
        which = "blob_id IN (SELECT value FROM carray(?))"
        in_segments = tx.query(
            f"SELECT segment, sum(coalesce(packed_size, size) + {HEADER_OCTETS}) FROM blob"
            f" WHERE {which} AND segment IS NOT NULL GROUP BY segment",
            (members(blob_ids),),
        )
        for segment, octets in in_segments:
            tx.execute("UPDATE segment SET dead = dead + ? WHERE segment = ?", (octets, segment))
        tx.execute(f"DELETE FROM blob WHERE {which}", (members(blob_ids),))
