"""Operations on masked addresses: an item of the account and a row of the directory, changed together."""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.errors import Conflict, NotFound, OverQuota, Temporary
from posthouse.store.account_model import Item
from posthouse.store.interface import PutItem, RemoveItem
from posthouse.store.masked import AddMasked, NoteMasked, PutMasked, RemoveMasked
from posthouse.store.masked_model import KIND, TAKES, MaskedAddress, MaskedState, Takes, decode
from posthouse.store.memory.changes import PeopleChanged
from posthouse.store.sql import items, people
from posthouse.store.sql.database import Database
from posthouse.store.sql.transaction import Transaction

_GONE: Final = 0
"""In the place of an item's number."""


def add(tx: Transaction, op: AddMasked) -> Item:
    """AddMasked."""
    address = op.masked.email
    tx.account(op.account_id)
    people.refuse_taken_address(tx, address)
    people.need_local_domain(tx, address)
    ((count,),) = tx.query(
        "SELECT count(*) FROM item WHERE account_id = ? AND kind = ?", (op.account_id, KIND)
    )
    if count >= op.most:
        raise OverQuota(f"This account has {count} masked addresses: remove some first.")
    ((lately,),) = tx.query(
        "SELECT count(*) FROM masked_address WHERE account_id = ? AND created_at > ?",
        (op.account_id, op.lately),
    )
    if lately >= op.most_lately:
        raise Temporary("Too many masked addresses were made just now: try again later.")
    item = items.put(
        tx, PutItem(account_id=op.account_id, kind=KIND, data=op.masked.encoded(), due_at=op.due_at)
    )
    tx.execute(
        "INSERT INTO masked_address VALUES (?, ?, ?, ?, ?)",
        (address, op.account_id, item.item_id, TAKES[op.masked.state].value, op.masked.created_at),
    )
    tx.publish_once(PeopleChanged())
    return item


def put(tx: Transaction, op: PutMasked) -> Item:
    """PutMasked."""
    item = items.put(
        tx,
        PutItem(
            account_id=op.account_id,
            kind=KIND,
            item_id=op.item_id,
            data=op.masked.encoded(),
            due_at=op.due_at,
            unchanged_since=op.unchanged_since,
        ),
    )
    _direct(tx, op.account_id, op.item_id, TAKES[op.masked.state], op.item_id)
    return item


def note(tx: Transaction, op: NoteMasked) -> None:
    """NoteMasked. What decides where mail goes stays, so nobody need look at the directory anew."""
    rows = tx.query(
        "SELECT data FROM item WHERE account_id = ? AND kind = ? AND item_id = ?",
        (op.account_id, KIND, op.item_id),
    )
    if not rows:
        return
    known = decode(rows[0][0])
    state = MaskedState.ENABLED if known.state is MaskedState.PENDING else known.state
    now = msgspec.structs.replace(known, state=state, last_message_at=max(op.at, known.last_message_at or 0))
    if now != known:
        items.put(tx, PutItem(account_id=op.account_id, kind=KIND, item_id=op.item_id, data=now.encoded()))


def remove(tx: Transaction, op: RemoveMasked) -> None:
    """RemoveMasked."""
    rows = tx.query(
        "SELECT modseq FROM item WHERE account_id = ? AND kind = ? AND item_id = ?",
        (op.account_id, KIND, op.item_id),
    )
    if not rows:
        raise NotFound("There is no such masked address.")
    if op.unchanged_since is not None and rows[0][0] != op.unchanged_since:
        raise Conflict("It was changed meanwhile.")
    items.remove(tx, RemoveItem(account_id=op.account_id, kind=KIND, item_id=op.item_id))
    _direct(tx, op.account_id, op.item_id, Takes.NOWHERE, _GONE)


def _direct(tx: Transaction, account_id: int, item_id: int, takes: Takes, as_item: int) -> None:
    tx.execute(
        "UPDATE masked_address SET takes = ?, item_id = ? WHERE account_id = ? AND item_id = ?",
        (takes.value, as_item, account_id, item_id),
    )
    tx.publish_once(PeopleChanged())


def read(db: Database, address: str) -> MaskedAddress | None:
    """Also one that was removed."""
    rows = db.rows("SELECT account_id, item_id, takes FROM masked_address WHERE address = ?", (address,))
    if not rows:
        return None
    account_id, item_id, takes = rows[0]
    return MaskedAddress(address=address, account_id=account_id, item_id=item_id, takes=Takes(takes))
