"""Messages removed for good (RFC 9051 §6.4.3, RFC 8508): many in pieces, or a few that must all be there."""

from __future__ import annotations

from collections.abc import Iterator

from posthouse.errors import NotFound
from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge, Expunged
from posthouse.store.sql.pieces import Pieces
from posthouse.store.sql.placements import carry_out, leave, narrowed, selections
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
        some = leave(tx, account, mailbox, selection, keep_emails=False)
        if some:
            modseq = account.modseq
            gone += some
        yield None
        account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    if op.complete and op.uids is not None and len(gone) < len(op.uids):
        raise NotFound("Some of the messages no longer exist")
    yield Expunged(uids=Ranges.of_sorted(gone), modseq=modseq)
