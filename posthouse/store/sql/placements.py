"""Operations on many messages of a mailbox: flags and expunge; `copying.py` has copy and move.

All work is done by the database over whole ranges of UIDs; Python sees lists of UIDs only. More than PIECE_ROWS rows
are cut into pieces, each consistent by itself: its own mod-sequence, journal row and counts, so that a crash between
two pieces leaves half the work done and nothing contradictory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from posthouse import limits
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.interface import (
    FlagsSet,
    SetFlags,
)
from posthouse.store.judgement import lesson_of_flags
from posthouse.store.memory import changes
from posthouse.store.model import DELETED, SEEN
from posthouse.store.sql import shared, twins
from posthouse.store.sql.deleted import keep_deleted, kept_from
from posthouse.store.sql.gone import GoneEmail, note_emails
from posthouse.store.sql.judgement import note_lessons
from posthouse.store.sql.messages import flag_bits
from posthouse.store.sql.pieces import Pieces
from posthouse.store.sql.state import AccountState, MailboxState, count
from posthouse.store.sql.transaction import Transaction

FEW_RUNS = 4
"""Up to so many runs of UIDs are asked for as ranges, more as a list of members."""


class Selection(msgspec.Struct, frozen=True):
    """Rows of one mailbox: a condition with its bindings, to stand behind WHERE."""

    where: str
    bindings: tuple[Any, ...]
    first: int
    """No UID of theirs is below this one, or above `last`."""
    last: int


def narrowed(selection: Selection, condition: str, *bindings: Any) -> Selection:
    """Those of the rows for which something else is true as well."""
    return msgspec.structs.replace(
        selection, where=f"{selection.where} AND {condition}", bindings=(*selection.bindings, *bindings)
    )


def selections(
    tx: Transaction, account: AccountState, mailbox: MailboxState, uids: Ranges | None
) -> Iterator[Selection]:
    """Pieces of at most about PIECE_ROWS rows that together select `uids` (None: all), in ascending order.

    The rows of each show all flags, also logged ones, when it is given out.
    """
    for selection in unsettled(tx, account, mailbox, uids):
        tx.settle_flags(account.account_id, mailbox.mailbox_id, selection.first, selection.last)
        yield selection


def unsettled(
    tx: Transaction, account: AccountState, mailbox: MailboxState, uids: Ranges | None
) -> Iterator[Selection]:
    """The same, but what is logged about their flags does not show in the rows."""
    key = (account.account_id, mailbox.mailbox_id)
    asked = Ranges([(1, mailbox.uid_next - 1)]) if mailbox.uid_next > 1 else EMPTY
    if uids is not None:
        asked = asked & uids
    if asked.run_count() > FEW_RUNS:
        yield from _listed(tx, key, asked)
        return
    for first, last in asked.pairs():
        if mailbox.total <= limits.PIECE_ROWS or last - first < limits.PIECE_ROWS:
            yield _between(key, first, last)
            continue
        start = first
        while start <= last:
            end = _end_of_piece(tx, key, start, last)
            yield _between(key, start, end)
            start = end + 1


def _between(key: tuple[int, int], first: int, last: int) -> Selection:
    where = "account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ?"
    return Selection(where, (*key, first, last), first, last)


def _end_of_piece(tx: Transaction, key: tuple[int, int], start: int, last: int) -> int:
    found = tx.query(
        "SELECT uid FROM placement WHERE account_id = ? AND mailbox_id = ? AND uid >= ?"
        " ORDER BY uid LIMIT 1 OFFSET ?",
        (*key, start, limits.PIECE_ROWS - 1),
    )
    return min(found[0][0], last) if found else last


def _listed(tx: Transaction, key: tuple[int, int], asked: Ranges) -> Iterator[Selection]:
    ((found,),) = tx.query(
        f"SELECT {tx.uid_list} FROM placement WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ?",
        (*key, asked.first, asked.last),
    )
    wanted = list(Ranges.of_sorted(tx.uids_of(found)) & asked)
    for start in range(0, len(wanted), limits.PIECE_ROWS):
        condition, some = tx.among("uid", chosen := wanted[start : start + limits.PIECE_ROWS])
        where = f"account_id = ? AND mailbox_id = ? AND {condition}"
        yield Selection(where, (*key, some), chosen[0], chosen[-1])


def carry_out(tx: Transaction, mailbox: MailboxState, uids: Ranges | None, pieces: Iterator[Any]) -> Any:
    """Run all pieces now, or, when there may be several and it is allowed, let the writer run them."""
    rows = mailbox.total if uids is None else min(mailbox.total, len(uids))
    if tx.may_cut and rows > limits.PIECE_ROWS:
        return Pieces(pieces)
    *_, result = pieces
    return result


# --- flags ------------------------------------------------------------------------------------------------


class _FlagChange(msgspec.Struct, frozen=True):
    """Flags become `flags & keep | add`."""

    keep: int
    add: int

    def restores(self, deleted: int) -> bool:
        """Whether so many messages with \\Deleted lose it."""
        return deleted > 0 and not (self.keep | self.add) & DELETED

    def carriers(self, flag: int, before: int, messages: int) -> int:
        """How many of so many messages carry a flag afterwards, when `before` carried it."""
        if self.add & flag:
            return messages
        return before if self.keep & flag else 0


_ACTIONS = {
    "add": lambda bits: _FlagChange(-1, bits),
    "remove": lambda bits: _FlagChange(~bits, 0),
    "replace": lambda bits: _FlagChange(0, bits),
}


def set_flags(tx: Transaction, op: SetFlags) -> FlagsSet | Pieces:
    """SetFlags."""
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    bits = flag_bits(tx, account, op.flags, make=op.action != "remove")
    found: FlagsSet | Pieces = carry_out(
        tx, mailbox, op.uids, _flag_pieces(tx, op, _ACTIONS[op.action](bits))
    )
    return found


def _flag_pieces(tx: Transaction, op: SetFlags, change: _FlagChange) -> Iterator[FlagsSet | None]:
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    changed: list[int] = []
    modified: list[int] = []
    modseq = mailbox.highest_modseq
    lesson = None if op.action == "remove" else lesson_of_flags(op.flags)
    for selection in unsettled(tx, account, mailbox, op.uids):
        some = None
        news: Sequence[int] = ()
        if lesson is None and op.unchanged_since is None and not account.has_twins:
            some = _flag_logged(tx, account, mailbox, selection, change)
        if some is None:
            tx.settle_flags(op.account_id, op.mailbox_id, selection.first, selection.last)
            if op.unchanged_since is not None:
                modified += _modified(tx, selection, op.unchanged_since)
                selection = narrowed(selection, "modseq <= ?", op.unchanged_since)
            if lesson is not None:
                news = _lacking(tx, account, selection, lesson[1])
            some = _flag_piece(tx, account, mailbox, selection, change)
        if some:
            modseq = account.modseq
            changed += some
        if news and lesson is not None:
            condition, these = tx.among("uid", news)
            where = f"account_id = ? AND mailbox_id = ? AND {condition}"
            note_lessons(tx, lesson[0], where, (op.account_id, op.mailbox_id, these))
        yield None
        account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    yield FlagsSet(modseq=modseq, changed=Ranges.of_sorted(changed), modified=Ranges.of_sorted(modified))


def _lacking(tx: Transaction, account: AccountState, chosen: Selection, flags: frozenset[str]) -> list[int]:
    """Those that do not have all of these flags yet: a flag that is only kept says nothing new."""
    bits = flag_bits(tx, account, flags, make=False)
    lacking = narrowed(chosen, "flags & ? != ?", bits, bits)
    ((found,),) = tx.query(f"SELECT {tx.uid_list} FROM placement WHERE {lacking.where}", lacking.bindings)
    return tx.uids_of(found)


def _modified(tx: Transaction, selection: Selection, unchanged_since: int) -> list[int]:
    # RFC 7162 §3.1.3: left alone, and told so, is whatever has changed since.
    ((found,),) = tx.query(
        f"SELECT {tx.uid_list} FROM placement WHERE {selection.where} AND modseq > ?",
        (*selection.bindings, unchanged_since),
    )
    return tx.uids_of(found)


def _flag_logged(
    tx: Transaction, account: AccountState, mailbox: MailboxState, selection: Selection, change: _FlagChange
) -> Sequence[int] | None:
    """Change the flags of rows that are one logged run, by changing what is logged; None: it is not so simple.

    Simple is: the rows are the whole run, without a gap, and the change makes a difference to each.
    """
    logged = tx.logged_flags(account.account_id, mailbox.mailbox_id, selection.first, selection.last)
    if logged is None:
        return None
    now, new = "(flags & ?1 | ?2)", "((flags & ?1 | ?2) & ?3 | ?4)"
    ((present, rows, first, last, seen, deleted),) = tx.query(
        f"SELECT count(*), count(*) FILTER (WHERE {now} != {new}), min(uid), max(uid),"
        f" count(*) FILTER (WHERE {now} & 1 != 0), count(*) FILTER (WHERE {now} & 8 != 0)"
        f" FROM placement WHERE {selection.where}",
        (logged.keep, logged.bits, change.keep, change.add, *selection.bindings),
    )
    if change.restores(deleted):
        return None  # the history must tell of each that it is there again
    whole = rows == present and (first, last) == (logged.first, logged.last) and present == last - first + 1
    if not whole:
        return None
    modseq = tx.bump_mailbox(account, mailbox)
    again = logged.then(change.keep, change.add)
    tx.log_flags_again(account.account_id, mailbox.mailbox_id, modseq, again)
    _tell(tx, account, mailbox, Ranges.between(first, last), change, (seen, deleted))
    return range(first, last + 1)


def _flag_piece(
    tx: Transaction, account: AccountState, mailbox: MailboxState, selection: Selection, change: _FlagChange
) -> Sequence[int]:
    """Change flags where they differ; the UIDs, ascending."""
    new = "(flags & ?1 | ?2)"
    where = f"flags != {new} AND {selection.where}"
    bindings = (change.keep, change.add, *selection.bindings)
    ((rows, first, last, seen, deleted),) = tx.query(
        "SELECT count(*), min(uid), max(uid), count(*) FILTER (WHERE flags & 1 != 0),"
        f" count(*) FILTER (WHERE flags & 8 != 0) FROM placement WHERE {where}",
        bindings,
    )
    if not rows:
        return []
    uids: Sequence[int] = range(first, last + 1)
    if len(uids) != rows:
        ((found,),) = tx.query(f"SELECT {tx.uid_list} FROM placement WHERE {where}", bindings)
        uids = tx.uids_of(found)
    changed = Ranges.of_array(uids)
    # Before the change: a condition on the mod-sequence is true of them no longer afterwards.
    twin_emails = [e for _, e in twins_among(tx, account, mailbox, selection)] if account.has_twins else []
    restores = change.restores(deleted)
    back = gone_emails(tx, account.account_id, f"flags & 8 != 0 AND {where}", bindings) if restores else []
    modseq = tx.bump_mailbox(account, mailbox)
    if (
        account.has_twins
        or restores
        or not tx.log_flags(account.account_id, mailbox.mailbox_id, modseq, changed, change.keep, change.add)
    ):
        created = ", created_modseq = CASE WHEN flags & 8 != 0 THEN ?3 ELSE created_modseq END"
        tx.execute(
            f"UPDATE placement SET flags = {new}, modseq = ?3{created if restores else ''} WHERE {where}",
            (change.keep, change.add, modseq, *selection.bindings),
        )
    if back and account.has_twins:
        back = twins.restored(tx, account, mailbox.mailbox_id, back, modseq)
    # RFC 8621 §4.1.1: with \Deleted they were not there; whoever was told so is told that they have come.
    note_emails(tx, account.account_id, modseq, back)
    _tell(tx, account, mailbox, changed, change, (seen, deleted))
    twins.follow(tx, account, mailbox.mailbox_id, twin_emails, change.keep, change.add)
    return uids


def _tell(
    tx: Transaction,
    account: AccountState,
    mailbox: MailboxState,
    changed: Ranges,
    change: _FlagChange,
    before: tuple[int, int],
) -> None:
    """Count, note and publish a change; `before`: how many of these messages were seen, and deleted."""
    seen, deleted = before
    rows, modseq = len(changed), account.modseq
    unseen = seen - change.carriers(SEEN, seen, rows)
    count(account, mailbox, 0, 0, unseen, change.carriers(DELETED, deleted, rows) - deleted)
    tx.journal(account, mailbox, changed, vanished=False)
    key = (account.account_id, mailbox.mailbox_id)
    tx.publish(changes.Flagged(*key, modseq, changed, change.keep, change.add, mailbox.tell(modseq)))


def twins_among(
    tx: Transaction, account: AccountState, mailbox: MailboxState, selection: Selection
) -> list[tuple[int, int]]:
    """(UID, email) of those selected that are in other mailboxes too, in ascending order."""
    return [
        (uid, email_id)
        for uid, email_id in tx.query(
            f"SELECT uid, email_id FROM placement WHERE {selection.where}"
            " AND email_id IN (SELECT email_id FROM twin WHERE account_id = ? AND mailbox_id = ?) ORDER BY uid",
            (*selection.bindings, account.account_id, mailbox.mailbox_id),
        )
    ]


# --- expunge ----------------------------------------------------------------------------------------------


def leave(
    tx: Transaction, account: AccountState, mailbox: MailboxState, selection: Selection, *, keep_emails: bool
) -> list[int]:
    """Take messages out of a mailbox; their UIDs, ascending.

    Unless they are kept, their emails can be brought back for a time (`deleted.py`) or are left to the sweeper.
    """
    uids, size, unseen, deleted = counted(tx, selection)
    if not uids:
        return []
    staying: list[int] = []
    leaving: list[GoneEmail] = []
    lost: list[GoneEmail] = []
    if not keep_emails:
        if account.has_twins:
            staying = [email_id for _, email_id in twins_among(tx, account, mailbox, selection)]
        leaving = gone_emails(tx, account.account_id, selection.where, selection.bindings)
        kept = set(staying)
        lost = [each for each in leaving if each[0] not in kept]
        if lost and kept_from(tx, mailbox):
            going = selection
            if staying:
                condition, some = tx.among("email_id", [each[0] for each in lost])
                going = narrowed(selection, condition, some)
            keep_deleted(tx, mailbox.name, going.where, going.bindings)
        elif lost:
            tx.discard_emails(account.account_id, [each[0] for each in lost])
    watched = _emails(tx, selection) if mailbox.mailbox_id in account.shared else []
    tx.execute(f"DELETE FROM placement WHERE {selection.where}", selection.bindings)
    modseq = tx.bump_mailbox(account, mailbox)
    if watched:
        shared.note(tx, account, mailbox, watched, came=False)
    note_emails(tx, account.account_id, modseq, lost)
    count(account, mailbox, -len(uids), -size, -unseen, -deleted)
    gone = Ranges.of_sorted(uids)
    tx.journal(account, mailbox, gone, vanished=True)
    tx.publish(changes.Vanished(account.account_id, mailbox.mailbox_id, modseq, gone, mailbox.tell(modseq)))
    left = twins.part(tx, account, staying, mailbox.mailbox_id) if staying else {}
    nowhere = set(staying) - left.keys()
    if nowhere:  # a move into a mailbox where they were already once left them marked as in several
        tx.discard_emails(account.account_id, nowhere)
        note_emails(tx, account.account_id, modseq, [each for each in leaving if each[0] in nowhere])
    return uids


def _emails(tx: Transaction, selection: Selection) -> list[int]:
    (email_ids,) = tx.integers(("email_id",), f"FROM placement WHERE {selection.where}", selection.bindings)
    return email_ids


def counted(tx: Transaction, selection: Selection) -> tuple[list[int], int, int, int]:
    """UIDs of what is selected, ascending; their octets; how many are unseen, and deleted."""
    ((found, size, unseen, deleted),) = tx.query(
        f"SELECT {tx.uid_list}, CAST(coalesce(sum(size), 0) AS BIGINT),"
        " count(*) FILTER (WHERE flags & 1 = 0), count(*) FILTER (WHERE flags & 8 != 0)"
        f" FROM placement WHERE {selection.where}",
        selection.bindings,
    )
    return tx.uids_of(found), size, unseen, deleted


def gone_emails(tx: Transaction, account_id: int, where: str, bindings: tuple[Any, ...]) -> list[GoneEmail]:
    """What the history notes of emails that leave their last mailbox."""
    found = tx.integers(
        ("p.email_id", "p.created_modseq", "coalesce(t.thread_id, 0)"),
        f"FROM (SELECT email_id, created_modseq FROM placement WHERE {where}) AS p"
        " LEFT JOIN email_thread t ON t.account_id = ? AND t.email_id = p.email_id",
        (*bindings, account_id),
    )
    return list(zip(*found, strict=True))
