"""Operations that put messages into another mailbox: copy, move, and place (the same email in two mailboxes).

Cut into pieces as in `placements.py`, and for the same reasons. A copy is a new email that shares the blob; a moved
email keeps its number, and so does one that is placed a second time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from posthouse.ranges import Ranges
from posthouse.store.interface import (
    Copied,
    CopyEmails,
    MoveEmails,
    PlaceEmails,
)
from posthouse.store.judgement import LessonKind, lesson_of_move
from posthouse.store.sql import shared, twins
from posthouse.store.sql.arrivals import publish_arrivals
from posthouse.store.sql.judgement import note_lessons, pass_on_lessons
from posthouse.store.sql.messages import refuse_full, refuse_over_quota
from posthouse.store.sql.pieces import Pieces
from posthouse.store.sql.placements import (
    Selection,
    carry_out,
    counted,
    leave,
    narrowed,
    selections,
    twins_among,
    unsettled,
)
from posthouse.store.sql.state import AccountState, MailboxState, count
from posthouse.store.sql.transaction import Transaction


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
    messages, octets = _amount(tx, selections(tx, account, source, op.uids))
    refuse_full(target, messages)
    if not moving:
        refuse_over_quota(tx, account, octets)
    found: Copied | Pieces = carry_out(tx, source, op.uids, _copy_pieces(tx, op, moving))
    return found


def _amount(tx: Transaction, chosen: Iterable[Selection]) -> tuple[int, int]:
    """How many messages are selected, and how many octets they have."""
    messages = octets = 0
    for selection in chosen:
        ((rows, size),) = tx.query(
            f"SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM placement WHERE {selection.where}",
            selection.bindings,
        )
        messages += rows
        octets += size
    return messages, octets


def _copy_pieces(tx: Transaction, op: CopyEmails | MoveEmails, moving: bool) -> Iterator[Copied | None]:
    account, source = tx.mailbox(op.account_id, op.source_id)
    _, target = tx.mailbox(op.account_id, op.target_id)
    uid_validity = target.uid_validity
    left: list[int] = []
    arrived: list[int] = []
    for selection in selections(tx, account, source, op.uids):
        shared = _part_doubles(tx, account, source, target, selection) if moving else []
        first = target.uid_next
        some = _arrive(tx, account, target, selection, moving)
        if some and moving:
            leave(tx, account, source, selection, keep_emails=True)
        for uid, email_id in shared:
            place = (target.mailbox_id, first + bisect_left(some, uid))
            twins.move(tx, account, email_id, source.mailbox_id, place)
        left += some
        arrived += range(first, first + len(some))
        if some:
            kind = _teach(tx, op.account_id, source, target, first)
            if kind is not None and not moving:
                pass_on_lessons(tx, kind, op.account_id, selection.where, selection.bindings)
        yield None
        account, source = tx.mailbox(op.account_id, op.source_id)
        _, target = tx.mailbox(op.account_id, op.target_id)
    yield Copied(uid_validity=uid_validity, source=Ranges.of_sorted(left), target=Ranges.of_sorted(arrived))


def _part_doubles(
    tx: Transaction,
    account: AccountState,
    source: MailboxState,
    target: MailboxState,
    selection: Selection,
) -> list[tuple[int, int]]:
    """(UID, email) of those selected that are elsewhere too; those in the target leave it: they come anew."""
    if not account.has_twins:
        return []
    shared = twins_among(tx, account, source, selection)
    key = (account.account_id, target.mailbox_id)
    there: dict[int, int] = dict(
        tx.query("SELECT email_id, uid FROM twin WHERE account_id = ? AND mailbox_id = ?", key)
    )
    double = sorted(there[email_id] for _, email_id in shared if email_id in there)
    if double and source is not target:
        condition, some = tx.among("uid", double)
        where = f"account_id = ? AND mailbox_id = ? AND {condition}"
        old = Selection(where, (*key, some), double[0], double[-1])
        tx.settle_flags(*key, old.first, old.last)
        leave(tx, account, target, old, keep_emails=True)
    return shared


def place(tx: Transaction, op: PlaceEmails) -> Copied | Pieces:
    """PlaceEmails."""
    tx.refuse_growth()
    account, source = tx.mailbox(op.account_id, op.source_id)
    _, target = tx.mailbox(op.account_id, op.target_id)
    wanted = unsettled(tx, account, source, op.uids) if source is not target else ()
    messages, octets = _amount(tx, (_missing(op, selection) for selection in wanted))
    refuse_full(target, messages)
    refuse_over_quota(tx, account, octets)  # each mailbox that an email is in counts, as with COPY
    found: Copied | Pieces = carry_out(tx, source, op.uids, _place_pieces(tx, op))
    return found


def _missing(op: PlaceEmails, selection: Selection) -> Selection:
    """Those of the selected whose emails are not in the target yet."""
    return narrowed(
        selection,
        "email_id NOT IN (SELECT email_id FROM twin WHERE account_id = ? AND mailbox_id = ?)",
        op.account_id,
        op.target_id,
    )


def _place_pieces(tx: Transaction, op: PlaceEmails) -> Iterator[Copied | None]:
    account, source = tx.mailbox(op.account_id, op.source_id)
    _, target = tx.mailbox(op.account_id, op.target_id)
    left: list[int] = []
    arrived: list[int] = []
    for selection in selections(tx, account, source, op.uids) if source is not target else ():
        _forget_deleted(tx, account, source, target, selection)
        missing = _missing(op, selection)
        emails = tx.query(
            f"SELECT uid, email_id FROM placement WHERE {missing.where} ORDER BY uid", missing.bindings
        )
        first = target.uid_next
        left += _arrive(tx, account, target, missing, moving=True)
        for uid, (old, email_id) in enumerate(emails, first):
            twins.pair(tx, account, email_id, (op.source_id, old), (op.target_id, uid))
            arrived.append(uid)
        if emails:
            _teach(tx, op.account_id, source, target, first)
        yield None
        account, source = tx.mailbox(op.account_id, op.source_id)
        _, target = tx.mailbox(op.account_id, op.target_id)
    yield Copied(
        uid_validity=target.uid_validity, source=Ranges.of_sorted(left), target=Ranges.of_sorted(arrived)
    )


def _forget_deleted(
    tx: Transaction,
    account: AccountState,
    source: MailboxState,
    target: MailboxState,
    selection: Selection,
) -> None:
    r"""Those of the emails that are in the target with \Deleted leave it: to whoever places them they are not there."""
    if not account.has_twins or not target.deleted:
        return
    key = (account.account_id, target.mailbox_id)
    emails = {email_id for _, email_id in twins_among(tx, account, source, selection)}
    tx.settle_flags(*key, 1, target.uid_next)
    hidden = sorted(
        uid
        for uid, email_id in tx.query(
            "SELECT t.uid, t.email_id FROM twin t JOIN placement p ON p.account_id = t.account_id"
            " AND p.mailbox_id = t.mailbox_id AND p.uid = t.uid"
            " WHERE t.account_id = ? AND t.mailbox_id = ? AND p.flags & 8 != 0",
            key,
        )
        if email_id in emails
    )
    if hidden:
        condition, some = tx.among("uid", hidden)
        where = f"account_id = ? AND mailbox_id = ? AND {condition}"
        leave(tx, account, target, Selection(where, (*key, some), hidden[0], hidden[-1]), keep_emails=True)
        tx.execute(f"DELETE FROM twin WHERE {where}", (*key, some))


def _arrive(
    tx: Transaction, account: AccountState, target: MailboxState, selection: Selection, moving: bool
) -> list[int]:
    """Put what is selected into the target too; the source's UIDs, ascending."""
    uids, size, unseen, deleted = counted(tx, selection)
    if not uids:
        return []
    modseq = tx.bump_mailbox(account, target)
    first = target.uid_next
    if moving:
        email_id, created, base, made = "email_id + ?", "created_modseq + ?", 0, 0
    else:
        email_id, created, made = "? + nth - 1", "CAST(? AS BIGINT)", modseq
        base = _copy_emails(tx, account, selection, len(uids))
    tx.execute(
        f"INSERT INTO placement SELECT account_id, CAST(? AS BIGINT), ? + nth - 1, {email_id}, flags,"
        f" CAST(? AS BIGINT), {created}, size, received_at, CAST(? AS BIGINT)"
        " FROM (SELECT *, row_number() OVER (ORDER BY uid) AS nth FROM placement"
        f" WHERE {selection.where}) AS chosen",
        (target.mailbox_id, first, base, modseq, made, tx.now, *selection.bindings),
    )
    target.uid_next = first + len(uids)
    count(account, target, len(uids), size, unseen, deleted)
    email_ids = publish_arrivals(tx, account, target, first, modseq)
    if moving and target.mailbox_id in account.shared:
        shared.note(tx, account, target, email_ids, came=True)
    return uids


def _teach(
    tx: Transaction, account_id: int, source: MailboxState, target: MailboxState, first: int
) -> LessonKind | None:
    """What the arrival of messages says to the junk filter; they are the target's from UID `first` on."""
    kind = lesson_of_move(source.role, source.name, target.role, target.name)
    if kind is not None:
        where = "account_id = ? AND mailbox_id = ? AND uid >= ?"
        note_lessons(tx, kind, where, (account_id, target.mailbox_id, first))
    return kind


def _copy_emails(tx: Transaction, account: AccountState, selection: Selection, messages: int) -> int:
    """New emails that share the blobs, derived texts and threads; the number of the first."""
    base = tx.take_numbers("email", messages)
    rows = (
        "(SELECT email_id, row_number() OVER (ORDER BY uid) AS nth"
        f" FROM placement WHERE {selection.where}) AS p"
    )
    bindings = (base, *selection.bindings, account.account_id)
    tx.execute(
        "INSERT INTO email (email_id, account_id, blob_id, size, received_at, prefix)"
        " SELECT ? + p.nth - 1, e.account_id, e.blob_id, e.size, e.received_at, e.prefix"
        f" FROM {rows} JOIN email e ON e.email_id = p.email_id AND e.account_id = ?",
        bindings,
    )
    tx.execute(
        "INSERT INTO derived SELECT d.account_id, ? + p.nth - 1, d.sent_at, d.preview, d.envelope,"
        f" d.body_structure, d.parts FROM {rows} JOIN derived d ON d.email_id = p.email_id AND d.account_id = ?",
        bindings,
    )
    tx.execute(
        f"INSERT INTO verdict SELECT v.account_id, ? + p.nth - 1, v.learnt, v.data FROM {rows}"
        " JOIN verdict v ON v.email_id = p.email_id AND v.account_id = ?",
        bindings,
    )
    tx.execute(
        f"INSERT INTO email_thread SELECT t.account_id, ? + p.nth - 1, t.thread_id FROM {rows}"
        " JOIN email_thread t ON t.email_id = p.email_id AND t.account_id = ?",
        bindings,
    )
    tx.execute(
        "INSERT INTO email_origin (account_id, email_id, origin_id)"
        f" SELECT {account.account_id}, ? + p.nth - 1, coalesce(o.origin_id, p.email_id) FROM {rows}"
        " LEFT JOIN email_origin o ON o.email_id = p.email_id AND o.account_id = ?",
        bindings,
    )
    tx.emails_copied(account.account_id, base, messages)
    return base
