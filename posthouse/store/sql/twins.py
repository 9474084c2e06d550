r"""Emails in several mailboxes: they share flags (but \Deleted), and the email lives as long as one placement.

Only such emails have rows in `twin`, and an account without any pays one look at a flag. JMAP makes them
(RFC 8621 §4.1.1 mailboxIds); IMAP sees each placement as a message of its mailbox.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from posthouse.ranges import Ranges
from posthouse.store.memory import changes
from posthouse.store.model import (
    DELETED,
    SEEN,
)
from posthouse.store.sql.state import AccountState, count
from posthouse.store.sql.transaction import Transaction

Place = tuple[int, int]
"""Mailbox, UID."""


def places(tx: Transaction, account: AccountState, email_id: int) -> list[Place]:
    """Where an email is that has twins; empty for any other."""
    return [
        (mailbox_id, uid)
        for mailbox_id, uid in tx.query(
            "SELECT mailbox_id, uid FROM twin WHERE account_id = ? AND email_id = ?",
            (account.account_id, email_id),
        )
    ]


def pair(tx: Transaction, account: AccountState, email_id: int, *where: Place) -> None:
    """The email is in these places."""
    for mailbox_id, uid in where:
        tx.execute(
            "INSERT INTO twin VALUES (?, ?, ?, ?)"
            " ON CONFLICT (account_id, email_id, mailbox_id) DO UPDATE SET uid = excluded.uid",
            (account.account_id, email_id, mailbox_id, uid),
        )
    account.has_twins = True


def part(
    tx: Transaction, account: AccountState, email_ids: Collection[int], mailbox_id: int
) -> dict[int, list[Place]]:
    """Emails leave a mailbox: where each still is (there it is told that it changed); nowhere: it is left out."""
    key = account.account_id
    condition, some = tx.among("email_id", email_ids)
    tx.execute(
        f"DELETE FROM twin WHERE account_id = ? AND mailbox_id = ? AND {condition}", (key, mailbox_id, some)
    )
    left: dict[int, list[Place]] = {}
    for email_id, other, uid in tx.query(
        f"SELECT email_id, mailbox_id, uid FROM twin WHERE account_id = ? AND {condition}", (key, some)
    ):
        left.setdefault(email_id, []).append((other, uid))
    if alone := [email_id for email_id, places_left in left.items() if len(places_left) == 1]:
        condition, some = tx.among("email_id", alone)
        tx.execute(f"DELETE FROM twin WHERE account_id = ? AND {condition}", (key, some))
    uids: dict[int, list[int]] = {}
    for places_left in left.values():
        for other, uid in places_left:
            uids.setdefault(other, []).append(uid)
    for other, these in sorted(uids.items()):
        _note_changed(tx, account, other, sorted(these))
    return left


def _note_changed(tx: Transaction, account: AccountState, mailbox_id: int, uids: list[int]) -> None:
    """Emails changed otherwise than in their flags: their placements of one mailbox tell it."""
    mailbox = account.mailboxes.get(mailbox_id)
    if mailbox is None:
        return
    key = (account.account_id, mailbox_id)
    tx.settle_flags(*key, uids[0], uids[-1])
    condition, these = tx.among("uid", uids)
    modseq = tx.bump_mailbox(account, mailbox)
    tx.execute(
        f"UPDATE placement SET modseq = ? WHERE account_id = ? AND mailbox_id = ? AND {condition}",
        (modseq, *key, these),
    )
    changed = Ranges.of_sorted(uids)
    tx.journal(account, mailbox, changed, vanished=False)
    tx.publish(changes.Flagged(*key, modseq, changed, -1, 0, mailbox.tell(modseq)))


def move(tx: Transaction, account: AccountState, email_id: int, source_id: int, place: Place) -> None:
    """The email went from a mailbox to another one, where it may have been already: then it is in one less."""
    key = (account.account_id, email_id)
    tx.execute("DELETE FROM twin WHERE account_id = ? AND email_id = ? AND mailbox_id = ?", (*key, source_id))
    pair(tx, account, email_id, place)
    if len(places(tx, account, email_id)) == 1:
        tx.execute("DELETE FROM twin WHERE account_id = ? AND email_id = ?", key)


def _flags(tx: Transaction, account: AccountState, place: Place) -> int | None:
    """One placement's flags; None: there is none."""
    key = (account.account_id, *place)
    tx.settle_flags(*key, place[1])
    rows = tx.query("SELECT flags FROM placement WHERE account_id = ? AND mailbox_id = ? AND uid = ?", key)
    return rows[0][0] if rows else None


def set_flags(tx: Transaction, account: AccountState, place: Place, keep: int, add: int) -> None:
    """Make one placement's flags `flags & keep | add`."""
    mailbox = account.mailboxes.get(place[0])
    old = _flags(tx, account, place) if mailbox is not None else None
    if mailbox is None or old is None:
        return
    new = old & keep | add
    if new == old:
        return
    modseq = tx.bump_mailbox(account, mailbox)
    tx.execute(
        "UPDATE placement SET flags = ?, modseq = ? WHERE account_id = ? AND mailbox_id = ? AND uid = ?",
        (new, modseq, account.account_id, *place),
    )
    unseen = (not new & SEEN) - (not old & SEEN)
    count(account, mailbox, 0, 0, unseen, bool(new & DELETED) - bool(old & DELETED))
    uids = Ranges([(place[1], place[1])])
    tx.journal(account, mailbox, uids, vanished=False)
    before = mailbox.tell(modseq)
    tx.publish(changes.Flagged(account.account_id, mailbox.mailbox_id, modseq, uids, keep, add, before))


def restored(
    tx: Transaction,
    account: AccountState,
    mailbox_id: int,
    emails: Sequence[tuple[int, int, int]],
    modseq: int,
) -> list[tuple[int, int, int]]:
    r"""Emails (number, created_modseq, thread) have lost \Deleted in a mailbox: those that were shown nowhere before.

    Of these all placements are new with `modseq`; of one that was shown elsewhere the restored placement is no newer
    than it was.
    """
    hidden = []
    for email in emails:
        here: list[Place] = []
        elsewhere: list[Place] = []
        shown = False
        for place in places(tx, account, email[0]):
            (here if place[0] == mailbox_id else elsewhere).append(place)
        for place in elsewhere:
            flags = _flags(tx, account, place)
            shown = shown or (flags is not None and not flags & DELETED)
        for place in here if shown else elsewhere:
            tx.execute(
                "UPDATE placement SET created_modseq = ? WHERE account_id = ? AND mailbox_id = ? AND uid = ?",
                (email[1] if shown else modseq, account.account_id, *place),
            )
        if not shown:
            hidden.append(email)
    return hidden


def follow(
    tx: Transaction, account: AccountState, mailbox_id: int, email_ids: Sequence[int], keep: int, add: int
) -> None:
    r"""Flags of these emails changed in one mailbox: the same for their other placements.

    But not \Deleted, which is about one mailbox: whoever expunges a message there would take it from all others.
    """
    keep, add = keep | DELETED, add & ~DELETED
    for email_id in email_ids:
        for place in places(tx, account, email_id):
            if place[0] != mailbox_id:
                set_flags(tx, account, place, keep, add)
