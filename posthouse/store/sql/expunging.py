"""Messages removed for good (RFC 9051 §6.4.3, RFC 8508): many in pieces, or a few that must all be there."""

from __future__ import annotations

from collections.abc import Iterator

from posthouse.errors import NotFound
from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge, Expunged
from posthouse.store.judgement import LessonKind, lesson_of_move
from posthouse.store.sql.judgement import note_lessons
from posthouse.store.sql.pieces import Pieces
from posthouse.store.sql.placements import Selection, carry_out, leave, narrowed, selections, twins_among
from posthouse.store.sql.state import AccountState, MailboxState
from posthouse.store.sql.transaction import Transaction


def expunge(tx: Transaction, op: Expunge) -> Expunged | Pieces:
    """Expunge."""
    _, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    if op.complete:
        tx.may_cut = False  # pieces that have been committed cannot be taken back
    found: Expunged | Pieces = carry_out(tx, mailbox, op.uids, _pieces(tx, op))
    return found


def _pieces(tx: Transaction, op: Expunge) -> Iterator[Expunged | None]:
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    gone: list[int] = []
    modseq = mailbox.highest_modseq
    nothing = not op.force and not mailbox.deleted
    for selection in () if nothing else selections(tx, account, mailbox, op.uids):
        if not op.force:
            selection = narrowed(selection, "flags & 8 != 0")
        if op.taken_out:
            _teach(tx, account, mailbox, selection)
        some = leave(tx, account, mailbox, selection, keep_emails=False)
        if some:
            modseq = account.modseq
            gone += some
        yield None
        account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    if op.complete and op.uids is not None and len(gone) < len(op.uids):
        raise NotFound("Some of the messages no longer exist")
    yield Expunged(uids=Ranges.of_sorted(gone), modseq=modseq)


def _teach(tx: Transaction, account: AccountState, mailbox: MailboxState, selection: Selection) -> None:
    """What it says to the junk filter that emails are taken out of a mailbox, by where else they stay."""
    if not account.has_twins or lesson_of_move(mailbox.role, mailbox.name, None, "") is None:
        return
    staying = [email_id for _, email_id in twins_among(tx, account, mailbox, selection)]
    condition, some = tx.among("email_id", staying)
    others = tx.query(
        f"SELECT email_id, mailbox_id FROM twin WHERE account_id = ? AND mailbox_id <> ? AND {condition}",
        (account.account_id, mailbox.mailbox_id, some),
    )
    wanted = set()
    for email_id, other in others:
        box = account.mailboxes.get(other)
        if box is not None and lesson_of_move(mailbox.role, mailbox.name, box.role, box.name):
            wanted.add(email_id)
    if wanted:
        condition, some = tx.among("email_id", sorted(wanted))
        note_lessons(tx, LessonKind.GOOD, f"{selection.where} AND {condition}", (*selection.bindings, some))
