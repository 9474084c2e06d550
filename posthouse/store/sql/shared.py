"""What must be noted because somebody else may see a mailbox: emails that come into it or leave it.

The history of emails says what became of each in its account. Who sees some mailboxes only needs to know what came
into these or left them, also when it lives on elsewhere. Only shared mailboxes are noted; a change that opens or
closes one ends the history for whom it concerns (`Grant.rights_since`), so what was before needs no note.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from posthouse import limits
from posthouse.store import grants
from posthouse.store.account_model import Passage
from posthouse.store.grants import Grant
from posthouse.store.sql.database import Database
from posthouse.store.sql.gone import end_history
from posthouse.store.sql.state import AccountState, MailboxState
from posthouse.store.sql.transaction import Transaction


def granted(tx: Transaction, account: AccountState, before: Grant, after: Grant) -> None:
    """A grant was changed: so are the mailboxes that it is about, for their owner."""
    for number in sorted(before.mailboxes.keys() | after.mailboxes.keys()):
        mailbox = account.mailboxes.get(number)
        if mailbox is not None and _rights(before, number) != _rights(after, number):
            mailbox.changed_modseq = tx.bump_mailbox(account, mailbox)
    _refresh(tx, account)


def _rights(grant: Grant, number: int) -> tuple[str, ...]:
    share = grant.mailboxes.get(number)
    return share.rights if share is not None else ()


def _refresh(tx: Transaction, account: AccountState) -> None:
    rows = tx.query(
        "SELECT data FROM item WHERE account_id = ? AND kind = ?", (account.account_id, grants.KIND)
    )
    account.shared = grants.mailboxes_of(data for (data,) in rows)


def note(
    tx: Transaction, account: AccountState, mailbox: MailboxState, email_ids: Sequence[int], *, came: bool
) -> None:
    """Emails came into a shared mailbox from another, or left it, with the account's present mod-sequence."""
    text = msgspec.json.encode(email_ids).decode()
    row = (account.account_id, account.modseq, mailbox.mailbox_id, int(came), text)
    tx.execute("INSERT INTO passage VALUES (?, ?, ?, ?, ?)", row)
    if account.modseq % limits.HISTORY_LOOK == 0:
        _prune(tx, account.account_id)


def _prune(tx: Transaction, account_id: int) -> None:
    rows = tx.query(
        "SELECT modseq FROM passage WHERE account_id = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
        (account_id, limits.HISTORY_ROWS),
    )
    if rows:
        end_history(tx, account_id, rows[0][0])


def forget_mailbox(tx: Transaction, account: AccountState, mailbox_id: int) -> None:
    """A mailbox was deleted: nobody may see it any more."""
    if mailbox_id not in account.shared:
        return
    rows = tx.query(
        "SELECT item_id, data FROM item WHERE account_id = ? AND kind = ?", (account.account_id, grants.KIND)
    )
    for item_id, data in rows:
        grant = grants.decode(data)
        if mailbox_id not in grant.mailboxes:
            continue
        left = {number: share for number, share in grant.mailboxes.items() if number != mailbox_id}
        changed = msgspec.structs.replace(grant, mailboxes=left, rights_since=0)
        tx.execute(
            "UPDATE item SET data = ?, modseq = ? WHERE account_id = ? AND kind = ? AND item_id = ?",
            (
                grants.encode(changed),
                tx.bump_kind(account, grants.KIND),
                account.account_id,
                grants.KIND,
                item_id,
            ),
        )
    _refresh(tx, account)


def read_changes(
    db: Database, account_id: int, mailbox_ids: Sequence[int], since: int
) -> list[Passage] | None:
    """As `Store.passages`."""
    with db.snapshot():
        reach = db.rows("SELECT modseq FROM history WHERE account_id = ?", (account_id,))
        if reach and since < reach[0][0]:
            return None
        rows = db.rows(
            "SELECT modseq, mailbox_id, came, emails FROM passage WHERE account_id = ? AND modseq > ?"
            " ORDER BY modseq",
            (account_id, since),
        )
    wanted = frozenset(mailbox_ids)
    return [
        Passage(modseq=modseq, mailbox_id=mailbox_id, came=bool(came), email_id=email_id)
        for modseq, mailbox_id, came, emails in rows
        if mailbox_id in wanted
        for email_id in msgspec.json.decode(emails, type=list[int])
    ]
