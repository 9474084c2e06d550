"""Operations on mailboxes themselves: create, rename, delete, role, subscription.

`INBOX` is one name in any case (RFC 9051 §5.1), can be neither deleted nor renamed here (RFC 9051 §6.3.6 moves its
messages instead, which is the protocol's business), and names are otherwise told apart exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

from posthouse import limits
from posthouse.errors import Conflict
from posthouse.store.interface import (
    ArrangeMailbox,
    CreateMailbox,
    DeleteMailbox,
    RenameMailbox,
    SetRole,
    Subscribe,
)
from posthouse.store.memory import changes
from posthouse.store.model import (
    SEPARATOR,
    Mailbox,
    Role,
)
from posthouse.store.retention import KEPT_ROLES
from posthouse.store.sql import deleted, gone, metadata, retention, shared
from posthouse.store.sql.pieces import Pieces
from posthouse.store.sql.placements import Selection, leave
from posthouse.store.sql.state import AccountState, MailboxState
from posthouse.store.sql.transaction import Transaction

INBOX = "INBOX"
FIRST_MAILBOXES = (
    (INBOX, Role.INBOX),
    ("Drafts", Role.DRAFTS),
    ("Sent", Role.SENT),
    ("Junk", Role.JUNK),
    ("Trash", Role.TRASH),
    ("Archive", Role.ARCHIVE),
)
"""What a new account gets, all subscribed."""


def exact_name(name: str) -> str:
    """The name as it is kept: INBOX in its one spelling."""
    return INBOX if name.upper() == INBOX else name


def create(tx: Transaction, op: CreateMailbox) -> Mailbox:
    """CreateMailbox."""
    tx.refuse_growth()
    account = tx.account(op.account_id)
    name = exact_name(op.name)
    if name in account.by_name:
        raise Conflict("There is a mailbox of that name already.")
    _refuse_taken_role(account, op.role)
    if op.subscribed:
        _set_subscribed(tx, account, name, True)
    return account.mailbox_value(make(tx, account, name, op.role))


def make(tx: Transaction, account: AccountState, name: str, role: Role | None) -> MailboxState:
    """A new mailbox. Its UIDVALIDITY is above all that this account ever had (RFC 9051 §2.3.1.1)."""
    account.uid_validity = max(account.uid_validity + 1, tx.now)
    mailbox = MailboxState(tx.take_numbers("mailbox"), name, role, account.uid_validity)
    account.mailboxes[mailbox.mailbox_id] = account.by_name[name] = mailbox
    mailbox.created_modseq = _bump_properties(tx, account, mailbox)
    return mailbox


def _bump_properties(tx: Transaction, account: AccountState, mailbox: MailboxState) -> int:
    mailbox.changed_modseq = tx.bump_mailbox(account, mailbox)
    return mailbox.changed_modseq


def arrange(tx: Transaction, op: ArrangeMailbox) -> None:
    """ArrangeMailbox."""
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    if mailbox.sort_order != op.sort_order:
        mailbox.sort_order = op.sort_order
        _bump_properties(tx, account, mailbox)


def rename(tx: Transaction, op: RenameMailbox) -> None:
    """RenameMailbox."""
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    old, new = mailbox.name, exact_name(op.name)
    if old == INBOX:
        raise Conflict("INBOX keeps its name.")
    if new == old:
        return
    if new.startswith(old + SEPARATOR):
        raise Conflict("A mailbox cannot be moved below itself.")
    moving = {
        name: new + name[len(old) :]
        for name in account.by_name
        if name == old or name.startswith(old + SEPARATOR)
    }
    if any(name in account.by_name and name not in moving for name in moving.values()):
        raise Conflict("There is a mailbox of that name already.")
    tx.bump(account)
    subscribed = moving.keys() & account.subscriptions if op.with_subscriptions else ()
    for name in subscribed:
        _set_subscribed(tx, account, name, False)
    for name in subscribed:
        _set_subscribed(tx, account, moving[name], True)
    moved = [(account.by_name.pop(name), target) for name, target in moving.items()]
    for each, target in moved:
        each.name = target
        account.by_name[target] = each
        _bump_properties(tx, account, each)


def delete(tx: Transaction, op: DeleteMailbox) -> Pieces | None:
    """DeleteMailbox. The messages are out of reach at once; their rows are swept away later.

    Emails that are elsewhere too leave it before, in pieces when there are many: a crash between two of them leaves a
    mailbox that has fewer messages.
    """
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    if mailbox.name == INBOX:
        raise Conflict("INBOX cannot be deleted.")
    pieces = _delete_pieces(tx, op)
    if tx.may_cut and account.has_twins and _twins_of(tx, op, limits.PIECE_ROWS + 1) > limits.PIECE_ROWS:
        return Pieces(pieces)
    for _ in pieces:
        pass
    return None


def _twins_of(tx: Transaction, op: DeleteMailbox, most: int) -> int:
    """How many emails of a mailbox are elsewhere too, counted up to `most`."""
    ((found,),) = tx.query(
        "SELECT count(*) FROM (SELECT 1 FROM twin WHERE account_id = ? AND mailbox_id = ? LIMIT ?) AS counted",
        (op.account_id, op.mailbox_id, most),
    )
    return int(found)


def _delete_pieces(tx: Transaction, op: DeleteMailbox) -> Iterator[None]:
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    while account.has_twins and _leave_twins(tx, account, mailbox):
        yield
        account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    account.mail_modseq = tx.bump(account)
    gone.note_mailbox(tx, account, mailbox.mailbox_id, mailbox.created_modseq)
    account.mailboxes.pop(mailbox.mailbox_id)
    account.by_name.pop(mailbox.name)
    account.changed.discard(mailbox.mailbox_id)
    account.gone.append(mailbox.mailbox_id)
    account.octets -= mailbox.size
    account.messages -= mailbox.total
    kept = deleted.kept_from(tx, mailbox)
    doom(tx, account.account_id, mailbox.mailbox_id, account.modseq, mailbox.name if kept else "")
    shared.forget_mailbox(tx, account, mailbox.mailbox_id)
    metadata.forget_mailbox(tx, account, mailbox.mailbox_id)


def _leave_twins(tx: Transaction, account: AccountState, mailbox: MailboxState) -> bool:
    """Take some emails that live on elsewhere out of a mailbox; whether there were any."""
    key = (account.account_id, mailbox.mailbox_id)
    rows = tx.query(
        "SELECT uid FROM twin WHERE account_id = ? AND mailbox_id = ? ORDER BY email_id LIMIT ?",
        (*key, limits.PIECE_ROWS),
    )
    if not rows:
        return False
    uids = sorted(uid for (uid,) in rows)
    condition, these = tx.among("uid", uids)
    where = f"account_id = ? AND mailbox_id = ? AND {condition}"
    tx.settle_flags(*key, uids[0], uids[-1])
    leave(tx, account, mailbox, Selection(where, (*key, these), uids[0], uids[-1]), keep_emails=False)
    tx.execute(f"DELETE FROM twin WHERE {where}", (*key, these))  # also of what was no message here
    return True


def doom(tx: Transaction, account_id: int, mailbox_id: int, modseq: int = 0, name: str = "") -> None:
    """Take a mailbox out of the tables that name it and leave its messages to the sweeper.

    `modseq`: of the deletion, for the history of its emails; 0: nobody will ask. `name`: under which they can be
    brought back; empty: they cannot.
    """
    key = (account_id, mailbox_id)
    tx.execute("DELETE FROM mailbox WHERE account_id = ? AND mailbox_id = ?", key)
    retention.forget(tx, account_id, mailbox_id)
    columns, kept = (", name", (name,)) if name else ("", ())
    tx.execute(
        f"INSERT INTO doomed_mailbox (account_id, mailbox_id, modseq{columns})"
        f" VALUES (?, ?, ?{', ?' * len(kept)}) ON CONFLICT DO NOTHING",
        (*key, modseq, *kept),
    )
    tx.publish(changes.MailboxGone(account_id, mailbox_id))


def set_role(tx: Transaction, op: SetRole) -> None:
    """SetRole."""
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    if mailbox.role is op.role:
        return
    if Role.INBOX in (mailbox.role, op.role):
        raise Conflict("INBOX keeps its role.")
    _refuse_taken_role(account, op.role)
    mailbox.role = op.role
    if op.role in KEPT_ROLES:
        mailbox.kept_days = None
        retention.forget(tx, op.account_id, op.mailbox_id)
    _bump_properties(tx, account, mailbox)


def _refuse_taken_role(account: AccountState, role: Role | None) -> None:
    if role is not None and any(other.role is role for other in account.mailboxes.values()):
        raise Conflict("Another mailbox has that role.")


def subscribe(tx: Transaction, op: Subscribe) -> None:
    """Subscribe."""
    account = tx.account(op.account_id)
    name = exact_name(op.name)
    if (name in account.subscriptions) == op.subscribed:
        return
    tx.bump(account)
    _set_subscribed(tx, account, name, op.subscribed)
    if name in account.by_name:
        _bump_properties(tx, account, account.by_name[name])


def _set_subscribed(tx: Transaction, account: AccountState, name: str, subscribed: bool) -> None:
    if subscribed:
        tx.execute(
            "INSERT INTO subscription VALUES (?, ?) ON CONFLICT DO NOTHING", (account.account_id, name)
        )
        account.subscriptions |= {name}
    else:
        tx.execute("DELETE FROM subscription WHERE account_id = ? AND name = ?", (account.account_id, name))
        account.subscriptions -= {name}
    account.subscriptions_changed = True
