"""Operations on mailing lists, and reading them."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from posthouse.errors import Conflict, NotFound
from posthouse.store.mailing_lists import (
    SERVICES,
    AddMembers,
    ListMember,
    MailingList,
    NoteListBounce,
    Posting,
    PutList,
    RemoveList,
    RemoveMembers,
    Rewriting,
)
from posthouse.store.memory.changes import PeopleChanged
from posthouse.store.sql.database import Database
from posthouse.store.sql.transaction import Transaction

_LIST: Final = "address, title, posting, rewriting, owners, created_at"


def addresses_of(address: str) -> tuple[str, ...]:
    """A list's own address, and those that go with it."""
    local, _, domain = address.rpartition("@")
    return address, *(f"{local}-{service}@{domain}" for service in SERVICES)


def lists_that_have(address: str) -> tuple[str, ...]:
    """The lists to which an address would belong, were they there."""
    local, _, domain = address.rpartition("@")
    names = (local.removesuffix(f"-{service}") for service in SERVICES)
    return address, *(f"{name}@{domain}" for name in names if name and name != local)


def put(tx: Transaction, op: PutList) -> None:
    """PutList."""
    one = op.mailing_list
    present = _is_here(tx, one.address)
    if op.new:
        _refuse_taken(tx, one.address)
    elif not present:
        raise NotFound("There is no such list.")
    owners = msgspec.json.encode(one.owners).decode()
    tx.execute(
        "INSERT INTO mailing_list VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (address) DO UPDATE"
        " SET title = excluded.title, posting = excluded.posting, rewriting = excluded.rewriting,"
        " owners = excluded.owners",
        (
            *(one.address, one.address.rpartition("@")[2], one.title),
            *(one.posting.value, one.rewriting.value, owners, one.created_at),
        ),
    )
    tx.publish_once(PeopleChanged())


def _is_here(tx: Transaction, address: str) -> bool:
    return bool(tx.query("SELECT 1 FROM mailing_list WHERE address = ?", (address,)))


def _refuse_taken(tx: Transaction, address: str) -> None:
    for one in (*addresses_of(address), *lists_that_have(address)):
        if _is_here(tx, one):
            raise Conflict("That address is in use already.")
    for one in addresses_of(address):
        for table in ("account", "alias", "masked_address"):
            if tx.query(f"SELECT 1 FROM {table} WHERE address = ?", (one,)):
                raise Conflict(f"{one} goes with the list and is in use already.")


def refuse_list_address(tx: Transaction, address: str) -> None:
    """Raise Conflict when an address is a list's, or goes with one."""
    if any(_is_here(tx, one) for one in lists_that_have(address)):
        raise Conflict("That address is in use already.")


def remove(tx: Transaction, op: RemoveList) -> None:
    """RemoveList."""
    _need(tx, op.address)
    tx.execute("DELETE FROM list_member WHERE list = ?", (op.address,))
    tx.execute("DELETE FROM mailing_list WHERE address = ?", (op.address,))
    tx.publish_once(PeopleChanged())


def forget_domain(tx: Transaction, domain: str) -> None:
    """A domain goes with its lists."""
    for (address,) in tx.query("SELECT address FROM mailing_list WHERE domain = ?", (domain,)):
        remove(tx, RemoveList(address=address))


def forget_member(tx: Transaction, address: str) -> None:
    """Whoever gets an address next is no member of the lists of who had it, with a tag or without."""
    local, _, domain = (re.sub(r"[\\%_]", r"\\\g<0>", part) for part in address.rpartition("@"))
    tagged = f"{local}+%@{domain}"
    tx.execute(r"DELETE FROM list_member WHERE member = ? OR member LIKE ? ESCAPE '\'", (address, tagged))


def _need(tx: Transaction, address: str) -> None:
    if not _is_here(tx, address):
        raise NotFound("There is no such list.")


def _members(tx: Transaction, address: str) -> set[str]:
    return {row[0] for row in tx.query("SELECT member FROM list_member WHERE list = ?", (address,))}


def add_members(tx: Transaction, op: AddMembers) -> int:
    """AddMembers."""
    _need(tx, op.address)
    before = _members(tx, op.address)
    new = [one for one in dict.fromkeys(op.members) if one not in before]
    if len(before) + len(new) > op.most:
        raise Conflict(f"A list has at most {op.most} members; this one has {len(before)}.")
    for one in new:
        tx.execute("INSERT INTO list_member VALUES (?, ?, ?, 0, 0)", (op.address, one, op.at))
    tx.publish_once(PeopleChanged())
    return len(new)


def remove_members(tx: Transaction, op: RemoveMembers) -> int:
    """RemoveMembers."""
    _need(tx, op.address)
    gone = _members(tx, op.address) & set(op.members)
    for one in sorted(gone):
        tx.execute("DELETE FROM list_member WHERE list = ? AND member = ?", (op.address, one))
    tx.publish_once(PeopleChanged())
    return len(gone)


def note_bounce(tx: Transaction, op: NoteListBounce) -> None:
    """NoteListBounce. Who has what in memory is not told: it decides nothing."""
    tx.execute(
        "UPDATE list_member SET bounces = ?, bounced_at = ? WHERE list = ? AND member = ?",
        (op.bounces, op.at, op.address, op.member),
    )


def _read(db: Database, where: str, bindings: tuple[Any, ...]) -> tuple[MailingList, ...]:
    with db.snapshot():
        rows = db.rows(f"SELECT {_LIST} FROM mailing_list WHERE {where} ORDER BY address", bindings)
        return tuple(
            MailingList(
                address=address,
                title=title,
                posting=Posting(posting),
                rewriting=Rewriting(rewriting),
                owners=msgspec.json.decode(owners, type=tuple[str, ...]),
                created_at=created_at,
                members=_read_members(db, address),
            )
            for address, title, posting, rewriting, owners, created_at in rows
        )


def _read_members(db: Database, address: str) -> tuple[ListMember, ...]:
    rows = db.rows(
        "SELECT member, added_at, bounces, bounced_at FROM list_member WHERE list = ? ORDER BY member",
        (address,),
    )
    return tuple(
        ListMember(address=member, added_at=added_at, bounces=bounces, bounced_at=bounced_at)
        for member, added_at, bounces, bounced_at in rows
    )


def read_all(db: Database, domain: str) -> tuple[MailingList, ...]:
    """All lists (of a domain), by address."""
    return _read(db, "domain = ?", (domain,)) if domain else _read(db, "true", ())


def read_one(db: Database, address: str) -> MailingList | None:
    """One list by its address."""
    return next(iter(_read(db, "address = ?", (address,))), None)
