"""Operations on annotations (RFC 5464): what `store.metadata` describes, within the writer's transaction."""

from __future__ import annotations

from typing import Final

from posthouse import limits
from posthouse.errors import Conflict, OverQuota
from posthouse.store.interface import PutItem, RemoveItem
from posthouse.store.metadata import ACCOUNT_WIDE, KIND, Entries, Entry, SetMetadata, decode, encode
from posthouse.store.sql import items
from posthouse.store.sql.state import AccountState
from posthouse.store.sql.transaction import Transaction

_ONE: Final = "SELECT data FROM item WHERE account_id = ? AND kind = ? AND item_id = ?"


def put(tx: Transaction, op: SetMetadata) -> int:
    """SetMetadata."""
    account = tx.account(op.account_id)
    if op.mailbox_id != ACCOUNT_WIDE:
        tx.mailbox(op.account_id, op.mailbox_id)
    rows = tx.query(_ONE, (op.account_id, KIND, op.mailbox_id))
    before: Entries = decode(rows[0][0]) if rows else {}
    modseq = account.modseq + 1  # the one that the item gets below
    changed = {
        name: Entry(value, modseq)
        for name, value in op.values.items()
        if value != (before[name].value if name in before else None)
    }
    if not changed:
        return 0
    after = before | changed
    if sum(entry.value is not None for entry in after.values()) > limits.METADATA_ENTRIES:
        raise Conflict("There are too many annotations.")
    data = encode(_without_old_names(after))
    _check_octets(tx, op, len(data), grows=any(entry.value is not None for entry in changed.values()))
    item = PutItem(account_id=op.account_id, kind=KIND, item_id=op.mailbox_id, data=data, new=True)
    return items.put(tx, item).modseq


def _without_old_names(entries: Entries) -> Entries:
    """Forget the names that were removed longest ago."""
    gone = sorted((entry.modseq, name) for name, entry in entries.items() if entry.value is None)
    old = {name for _, name in gone[: -limits.METADATA_NAMES_GONE]}
    return {name: entry for name, entry in entries.items() if name not in old}


def _check_octets(tx: Transaction, op: SetMetadata, octets: int, *, grows: bool) -> None:
    """Removing is always possible."""
    ((others,),) = tx.query(
        "SELECT CAST(coalesce(sum(length(data)), 0) AS BIGINT) FROM item"
        " WHERE account_id = ? AND kind = ? AND item_id <> ?",
        (op.account_id, KIND, op.mailbox_id),
    )
    if grows and others + octets > limits.METADATA_OCTETS:
        raise OverQuota("The annotations take too much space.")


def forget_mailbox(tx: Transaction, account: AccountState, mailbox_id: int) -> None:
    """A mailbox was deleted: its annotations go with it (RFC 5464 §4.1)."""
    if KIND not in account.kinds:
        return
    if tx.query(_ONE, (account.account_id, KIND, mailbox_id)):
        items.remove(tx, RemoveItem(account_id=account.account_id, kind=KIND, item_id=mailbox_id))
