"""Operations on items: small objects of an account, kept by kind, each with its history of changes.

A kind is a protocol's word ("Identity", "ContactCard"); what an item's data means is its protocol's business. Every
change takes a mod-sequence of the account, so that states and changes of all kinds are told apart exactly.
"""

from __future__ import annotations

from posthouse.errors import Conflict, NotFound
from posthouse.store import grants
from posthouse.store.account_model import Item
from posthouse.store.grants import Grant
from posthouse.store.interface import PutItem, RemoveItem
from posthouse.store.sql import shared
from posthouse.store.sql.transaction import Transaction


def put(tx: Transaction, op: PutItem) -> Item:
    """PutItem."""
    tx.refuse_growth()
    account = tx.account(op.account_id)
    item_id = op.item_id if op.item_id is not None else _free_number(tx, op)
    present = tx.query(
        "SELECT created_modseq, modseq FROM item WHERE account_id = ? AND kind = ? AND item_id = ?",
        (op.account_id, op.kind, item_id),
    )
    if op.unchanged_since is not None and (present[0][1] if present else 0) != op.unchanged_since:
        raise Conflict("It was changed meanwhile.")
    if not present and op.item_id is not None and not op.new:
        raise NotFound("There is no such item.")
    before = _grant(tx, op) if op.kind == grants.KIND else None
    modseq = tx.bump_kind(account, op.kind)
    created = present[0][0] if present else modseq
    tx.execute(
        "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account_id, kind, item_id) DO UPDATE"
        " SET modseq = excluded.modseq, due_at = excluded.due_at, data = excluded.data",
        (op.account_id, op.kind, item_id, created, modseq, op.due_at, op.data),
    )
    if before is not None:
        shared.granted(tx, account, before, grants.decode(op.data))
    return Item(
        account_id=op.account_id,
        kind=op.kind,
        item_id=item_id,
        data=op.data,
        created_modseq=created,
        modseq=modseq,
        due_at=op.due_at,
    )


def _grant(tx: Transaction, op: PutItem | RemoveItem) -> Grant:
    """What the item granted before."""
    rows = tx.query(
        "SELECT data FROM item WHERE account_id = ? AND kind = ? AND item_id = ?",
        (op.account_id, op.kind, op.item_id),
    )
    return grants.decode(rows[0][0]) if rows else Grant()


def _free_number(tx: Transaction, op: PutItem) -> int:
    """A number that no item of the kind has: some were made with numbers of their protocol's choice."""
    while True:
        number = tx.take_numbers("item")
        taken = "SELECT 1 FROM item WHERE account_id = ? AND kind = ? AND item_id = ?"
        if not tx.query(taken, (op.account_id, op.kind, number)):
            return number


def remove(tx: Transaction, op: RemoveItem) -> None:
    """RemoveItem."""
    account = tx.account(op.account_id)
    key = (op.account_id, op.kind, op.item_id)
    present = tx.query(
        "SELECT created_modseq FROM item WHERE account_id = ? AND kind = ? AND item_id = ?", key
    )
    if not present:
        raise NotFound("There is no such item.")
    before = _grant(tx, op) if op.kind == grants.KIND else None
    modseq = tx.bump_kind(account, op.kind)
    tx.execute("DELETE FROM item WHERE account_id = ? AND kind = ? AND item_id = ?", key)
    tx.execute(
        "INSERT INTO item_gone VALUES (?, ?, ?, ?, ?)",
        (op.account_id, op.kind, modseq, op.item_id, present[0][0]),
    )
    if before is not None:
        shared.granted(tx, account, before, Grant())
