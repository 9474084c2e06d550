"""Operations on uploads: octets that a client has brought and not yet used (RFC 8620 §6.1)."""

from __future__ import annotations

from posthouse import limits
from posthouse.errors import OverQuota
from posthouse.store.account_model import Upload
from posthouse.store.interface import AddUpload, PruneUploads, RemoveUpload
from posthouse.store.model import (
    Stored,
)
from posthouse.store.sql.transaction import Transaction


def add(tx: Transaction, op: AddUpload) -> Upload:
    """AddUpload. Beyond UPLOAD_OCTETS of an account the oldest that nothing needs give way (RFC 8620 §6)."""
    tx.refuse_growth()
    tx.account(op.account_id)
    if op.content.size > limits.UPLOAD_OCTETS:
        raise OverQuota("This is larger than uploads may be.")
    if op.kept:
        ((kept,),) = tx.query(
            "SELECT coalesce(sum(size), 0) FROM upload WHERE account_id = ? AND kept = 1", (op.account_id,)
        )
        if kept + op.content.size > limits.UPLOAD_OCTETS:
            raise OverQuota("Too much is kept to be sent later.")
    rows = tx.query(
        "SELECT upload_id, blob_id, size FROM upload WHERE account_id = ? AND kept = 0"
        " ORDER BY created_at DESC, upload_id DESC",
        (op.account_id,),
    )
    room = limits.UPLOAD_OCTETS - op.content.size
    for upload_id, blob_id, size in rows:
        room -= size
        if room < 0:
            _forget(tx, op.account_id, upload_id, blob_id)
    blob_id = tx.blobs.of(op.account_id, op.content)
    upload_id = tx.take_numbers("upload")
    size = op.content.size
    tx.execute(
        "INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, ?)",
        (upload_id, op.account_id, blob_id, size, op.media_type, op.created_at, int(op.kept)),
    )
    return Upload(
        upload_id=upload_id,
        stored=Stored(blob_id=blob_id, prefix=b"", size=size, account_id=op.account_id),
        media_type=op.media_type,
        created_at=op.created_at,
    )


def _forget(tx: Transaction, account_id: int, upload_id: int, blob_id: int) -> None:
    tx.execute("DELETE FROM upload WHERE account_id = ? AND upload_id = ?", (account_id, upload_id))
    tx.blobs.disown(account_id, [blob_id])


def remove(tx: Transaction, op: RemoveUpload) -> None:
    """RemoveUpload."""
    for upload_id, blob_id in tx.query(
        "SELECT upload_id, blob_id FROM upload WHERE account_id = ? AND upload_id = ?",
        (op.account_id, op.upload_id),
    ):
        _forget(tx, op.account_id, upload_id, blob_id)


def prune(tx: Transaction, op: PruneUploads) -> int:
    """PruneUploads."""
    rows = tx.query(
        "SELECT account_id, upload_id, blob_id FROM upload WHERE kept = 0 AND created_at < ?"
        " ORDER BY created_at LIMIT ?",
        (op.before, limits.PIECE_ROWS),
    )
    for account_id, upload_id, blob_id in rows:
        _forget(tx, account_id, upload_id, blob_id)
    return len(rows)


def remove_some(tx: Transaction, account_id: int, most: int) -> bool:
    """Forget some uploads of an account that is gone; False: there were none."""
    rows = tx.query(
        "SELECT upload_id, blob_id FROM upload WHERE account_id = ? ORDER BY upload_id LIMIT ?",
        (account_id, most),
    )
    if rows:
        condition, these = tx.among("upload_id", [upload_id for upload_id, _ in rows])
        tx.execute(f"DELETE FROM upload WHERE account_id = ? AND {condition}", (account_id, these))
        tx.blobs.disown(account_id, [blob_id for _, blob_id in rows])
    return bool(rows)
