"""Operations on many messages of a mailbox: flags, copy, move, expunge.

All work is done by the database over whole ranges of UIDs; Python sees lists of UIDs only. More than PIECE_ROWS rows
are cut into pieces, each consistent by itself: its own mod-sequence, journal row and counts, so that a crash between
two pieces leaves half the work done and nothing contradictory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from posthouse import limits
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.interface import Copied, CopyEmails, Expunge, Expunged, FlagsSet, MoveEmails, SetFlags
from posthouse.store.memory import changes
from posthouse.store.sql.messages import count, flag_bits, refuse_full, refuse_over_quota
from posthouse.store.sql.pieces import Pieces
from posthouse.store.sql.state import AccountState, MailboxState
from posthouse.store.sql.transaction import Transaction

FEW_RUNS = 4
"""Up to so many runs of UIDs are asked for as ranges, more as a list of members."""


class Selection(msgspec.Struct, frozen=True):
    """Rows of one mailbox: a condition with its bindings, to stand behind WHERE."""

    where: str
    bindings: tuple[Any, ...]


def selections(
    tx: Transaction, account: AccountState, mailbox: MailboxState, uids: Ranges | None
) -> Iterator[Selection]:
    """Pieces of at most about PIECE_ROWS rows that together select `uids` (None: all), in ascending order."""
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
    return Selection("account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ?", (*key, first, last))


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
        condition, some = tx.among("uid", wanted[start : start + limits.PIECE_ROWS])
        yield Selection(f"account_id = ? AND mailbox_id = ? AND {condition}", (*key, some))


def _carry_out(tx: Transaction, mailbox: MailboxState, uids: Ranges | None, pieces: Iterator[Any]) -> Any:
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


_ACTIONS = {
    "add": lambda bits: _FlagChange(-1, bits),
    "remove": lambda bits: _FlagChange(~bits, 0),
    "replace": lambda bits: _FlagChange(0, bits),
}


def set_flags(tx: Transaction, op: SetFlags) -> FlagsSet | Pieces:
    """SetFlags."""
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    bits = flag_bits(tx, account, op.flags, make=op.action != "remove")
    found: FlagsSet | Pieces = _carry_out(
        tx, mailbox, op.uids, _flag_pieces(tx, op, _ACTIONS[op.action](bits))
    )
    return found


def _flag_pieces(tx: Transaction, op: SetFlags, change: _FlagChange) -> Iterator[FlagsSet | None]:
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    changed: list[int] = []
    modified: list[int] = []
    modseq = mailbox.highest_modseq
    for selection in selections(tx, account, mailbox, op.uids):
        if op.unchanged_since is not None:
            modified += _modified(tx, selection, op.unchanged_since)
            narrowed = f"{selection.where} AND modseq <= ?"
            selection = Selection(narrowed, (*selection.bindings, op.unchanged_since))
        some = _flag_piece(tx, account, mailbox, selection, change)
        if some:
            modseq = account.modseq
            changed += some
        yield None
        account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    yield FlagsSet(modseq=modseq, changed=Ranges.of_sorted(changed), modified=Ranges.of_sorted(modified))


def _modified(tx: Transaction, selection: Selection, unchanged_since: int) -> list[int]:
    # RFC 7162 §3.1.3: left alone, and told so, is whatever has changed since.
    ((found,),) = tx.query(
        f"SELECT {tx.uid_list} FROM placement WHERE {selection.where} AND modseq > ?",
        (*selection.bindings, unchanged_since),
    )
    return tx.uids_of(found)


def _flag_piece(
    tx: Transaction, account: AccountState, mailbox: MailboxState, selection: Selection, change: _FlagChange
) -> list[int]:
    """Change flags where they differ; the UIDs, ascending."""
    new = "(flags & ?1 | ?2)"
    where = f"{selection.where} AND flags != {new}"
    ((found, unseen, no_more_unseen, deleted, no_more_deleted),) = tx.query(
        f"SELECT {tx.uid_list}, count(*) FILTER (WHERE {new} & 1 = 0), count(*) FILTER (WHERE flags & 1 = 0),"
        f" count(*) FILTER (WHERE {new} & 8 != 0), count(*) FILTER (WHERE flags & 8 != 0)"
        f" FROM placement WHERE {where}",
        (change.keep, change.add, *selection.bindings),
    )
    uids = tx.uids_of(found)
    if not uids:
        return []
    modseq = tx.bump_mailbox(account, mailbox)
    tx.execute(
        f"UPDATE placement SET flags = {new}, modseq = ? WHERE {where}",
        (change.keep, change.add, modseq, *selection.bindings),
    )
    unseen, deleted = unseen - no_more_unseen, deleted - no_more_deleted
    count(account, mailbox, 0, 0, unseen, deleted)
    changed = Ranges.of_sorted(uids)
    tx.journal(account, mailbox, changed, vanished=False)
    tx.publish(
        changes.Flagged(
            account.account_id,
            mailbox.mailbox_id,
            modseq,
            changed,
            change.keep,
            change.add,
            mailbox.tell(modseq),
        )
    )
    return uids


# --- expunge ----------------------------------------------------------------------------------------------


def expunge(tx: Transaction, op: Expunge) -> Expunged | Pieces:
    """Expunge."""
    _, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    found: Expunged | Pieces = _carry_out(tx, mailbox, op.uids, _expunge_pieces(tx, op))
    return found


def _expunge_pieces(tx: Transaction, op: Expunge) -> Iterator[Expunged | None]:
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    gone: list[int] = []
    modseq = mailbox.highest_modseq
    nothing = not op.force and not mailbox.deleted
    for selection in () if nothing else selections(tx, account, mailbox, op.uids):
        if not op.force:
            selection = Selection(f"{selection.where} AND flags & 8 != 0", selection.bindings)
        some = _leave(tx, account, mailbox, selection, keep_emails=False)
        if some:
            modseq = account.modseq
            gone += some
        yield None
        account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    yield Expunged(uids=Ranges.of_sorted(gone), modseq=modseq)


def _leave(
    tx: Transaction, account: AccountState, mailbox: MailboxState, selection: Selection, *, keep_emails: bool
) -> list[int]:
    """Take messages out of a mailbox; their UIDs, ascending. Unless kept, their emails are left to the sweeper."""
    uids, size, unseen, deleted = _counted(tx, selection)
    if not uids:
        return []
    if not keep_emails:
        tx.discard_emails(selection.where, selection.bindings)
    tx.execute(f"DELETE FROM placement WHERE {selection.where}", selection.bindings)
    modseq = tx.bump_mailbox(account, mailbox)
    count(account, mailbox, -len(uids), -size, -unseen, -deleted)
    gone = Ranges.of_sorted(uids)
    tx.journal(account, mailbox, gone, vanished=True)
    tx.publish(changes.Vanished(account.account_id, mailbox.mailbox_id, modseq, gone, mailbox.tell(modseq)))
    return uids


def _counted(tx: Transaction, selection: Selection) -> tuple[list[int], int, int, int]:
    """UIDs of what is selected, ascending; their octets; how many are unseen, and deleted."""
    ((found, size, unseen, deleted),) = tx.query(
        f"SELECT {tx.uid_list}, CAST(coalesce(sum(size), 0) AS BIGINT),"
        " count(*) FILTER (WHERE flags & 1 = 0), count(*) FILTER (WHERE flags & 8 != 0)"
        f" FROM placement WHERE {selection.where}",
        selection.bindings,
    )
    return tx.uids_of(found), size, unseen, deleted


# --- copy and move ----------------------------------------------------------------------------------------


def copy(tx: Transaction, op: CopyEmails) -> Copied | Pieces:
    """CopyEmails."""
    tx.refuse_growth()
    return _copy_or_move(tx, op, moving=False)


def move(tx: Transaction, op: MoveEmails) -> Copied | Pieces:
    """MoveEmails."""
    return _copy_or_move(tx, op, moving=True)


def _copy_or_move(tx: Transaction, op: CopyEmails | MoveEmails, *, moving: bool) -> Copied | Pieces:
    account, source = tx.mailbox(op.account_id, op.source_id)
    _, target = tx.mailbox(op.account_id, op.target_id)
    octets = messages = 0
    for selection in selections(tx, account, source, op.uids):
        ((rows, size),) = tx.query(
            f"SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM placement WHERE {selection.where}",
            selection.bindings,
        )
        messages += rows
        octets += size
    refuse_full(target, messages)
    if not moving:
        refuse_over_quota(tx, account, octets)
    found: Copied | Pieces = _carry_out(tx, source, op.uids, _copy_pieces(tx, op, moving))
    return found


def _copy_pieces(tx: Transaction, op: CopyEmails | MoveEmails, moving: bool) -> Iterator[Copied | None]:
    account, source = tx.mailbox(op.account_id, op.source_id)
    _, target = tx.mailbox(op.account_id, op.target_id)
    uid_validity = target.uid_validity
    left: list[int] = []
    arrived: list[int] = []
    for selection in selections(tx, account, source, op.uids):
        first = target.uid_next
        some = _arrive(tx, account, target, selection, moving)
        if some and moving:
            _leave(tx, account, source, selection, keep_emails=True)
        left += some
        arrived += range(first, first + len(some))
        yield None
        account, source = tx.mailbox(op.account_id, op.source_id)
        _, target = tx.mailbox(op.account_id, op.target_id)
    yield Copied(uid_validity=uid_validity, source=Ranges.of_sorted(left), target=Ranges.of_sorted(arrived))


def _arrive(
    tx: Transaction, account: AccountState, target: MailboxState, selection: Selection, moving: bool
) -> list[int]:
    """Put what is selected into the target too; the source's UIDs, ascending."""
    uids, size, unseen, deleted = _counted(tx, selection)
    if not uids:
        return []
    modseq = tx.bump_mailbox(account, target)
    first = target.uid_next
    email_id, base = "email_id + ?", 0
    if not moving:
        email_id, base = "? + nth - 1", _copy_emails(tx, account, selection, len(uids))
    tx.execute(
        f"INSERT INTO placement SELECT account_id, CAST(? AS BIGINT), ? + nth - 1, {email_id}, flags,"
        " CAST(? AS BIGINT), CAST(? AS BIGINT), size, received_at, CAST(? AS BIGINT)"
        " FROM (SELECT *, row_number() OVER (ORDER BY uid) AS nth FROM placement"
        f" WHERE {selection.where}) AS chosen",
        (target.mailbox_id, first, base, modseq, modseq, tx.now, *selection.bindings),
    )
    target.uid_next = first + len(uids)
    count(account, target, len(uids), size, unseen, deleted)
    _publish_arrivals(tx, account, target, first, modseq)
    return uids


def _copy_emails(tx: Transaction, account: AccountState, selection: Selection, messages: int) -> int:
    """New emails that share the blobs and derived texts; the number of the first."""
    base = tx.take_numbers("email", messages)
    rows = (
        "(SELECT email_id, row_number() OVER (ORDER BY uid) AS nth"
        f" FROM placement WHERE {selection.where}) AS p"
    )
    tx.execute(
        "INSERT INTO email (email_id, account_id, blob_id, size, received_at, prefix)"
        " SELECT ? + p.nth - 1, e.account_id, e.blob_id, e.size, e.received_at, e.prefix"
        f" FROM {rows} JOIN email e ON e.email_id = p.email_id AND e.account_id = ?",
        (base, *selection.bindings, account.account_id),
    )
    tx.execute(
        "INSERT INTO derived SELECT d.account_id, ? + p.nth - 1, d.sent_at, d.preview, d.envelope,"
        f" d.body_structure, d.parts FROM {rows} JOIN derived d ON d.email_id = p.email_id AND d.account_id = ?",
        (base, *selection.bindings, account.account_id),
    )
    tx.emails_copied(account.account_id, base, messages)
    return base


def _publish_arrivals(
    tx: Transaction, account: AccountState, target: MailboxState, first: int, modseq: int
) -> None:
    key = (account.account_id, target.mailbox_id)
    rows = tx.new_rows(account.account_id, target, modseq)
    uids, flags, email_ids, sizes, received = tx.arrivals(*key, first)
    rows.uids.extend(uids)
    rows.flags.extend(flags)
    rows.modseqs.extend([modseq] * len(uids))
    rows.email_ids.extend(email_ids)
    rows.sizes.extend(sizes)
    rows.received.extend(received)
