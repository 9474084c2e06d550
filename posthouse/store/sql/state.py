"""An account's mailboxes with their counts, as the writer keeps them in memory and as a reader loads them.

A mailbox's row in the database counts the messages below its `uid_next`. New mail does not rewrite the row each
time (mail for a thousand accounts would touch a thousand pages): later UIDs are counted when the row is loaded.
Every other change writes it, and UNSAVED_ADDS new messages do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from posthouse.store import grants
from posthouse.store.model import (
    Mailbox,
    Role,
)
from posthouse.store.sql.database import Database

_MAILBOXES: Final = """
SELECT m.mailbox_id, m.name, m.role, m.uid_validity, m.uid_next, m.highest_modseq,
       m.total, m.unseen, m.deleted, m.size,
       m.created_modseq, m.changed_modseq, m.sort_order, {kept},
       count(p.uid), count(p.uid) FILTER (WHERE p.flags & 1 = 0), count(p.uid) FILTER (WHERE p.flags & 8 != 0),
       CAST(coalesce(sum(p.size), 0) AS BIGINT), coalesce(max(p.uid), 0), coalesce(max(p.modseq), 0)
  FROM mailbox m
  LEFT JOIN placement p
    ON p.account_id = m.account_id AND p.mailbox_id = m.mailbox_id AND p.uid >= m.uid_next
 WHERE m.account_id = ?
 GROUP BY m.account_id, m.mailbox_id
"""
_KEPT: Final = (
    "(SELECT r.days FROM retention r WHERE r.account_id = m.account_id AND r.mailbox_id = m.mailbox_id)"
)
_WITH_RETENTION: Final = _MAILBOXES.format(kept=_KEPT)
_WITHOUT_RETENTION: Final = _MAILBOXES.format(kept="CAST(NULL AS BIGINT)")


@dataclass(slots=True)
class MailboxState:
    """One mailbox. `row_due`: its row must be written with this commit; `unsaved`: new mail since the last time."""

    mailbox_id: int
    name: str
    role: Role | None
    uid_validity: int
    uid_next: int = 1
    highest_modseq: int = 0
    total: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    created_modseq: int = 0
    changed_modseq: int = 0
    sort_order: int = 0
    kept_days: int | None = None
    row_due: bool = False
    unsaved: int = 0
    told: int = 0
    """The mod-sequence up to which changes of its messages were published or read."""

    def tell(self, modseq: int) -> int:
        """A change is published that brings the mailbox to a mod-sequence; where it was before."""
        before, self.told = self.told, modseq
        return before


@dataclass(slots=True)
class AccountState:
    """One account. Its mod-sequence is shared by all its mailboxes, which RFC 7162 §3.1 permits."""

    account_id: int
    modseq: int
    uid_validity: int
    quota: int
    """Its own, else its domain's; 0: the configured default."""
    mailboxes: dict[int, MailboxState] = field(default_factory=dict)
    by_name: dict[str, MailboxState] = field(default_factory=dict)
    subscriptions: frozenset[str] = frozenset()
    keywords: tuple[str, ...] = ()
    octets: int = 0
    messages: int = 0
    row_due: bool = False
    told: int = 0
    """The mod-sequence up to which changes were published or read."""
    changed: set[int] = field(default_factory=set)
    """Mailboxes changed by the transaction under way."""
    gone: list[int] = field(default_factory=list)
    subscriptions_changed: bool = False
    keywords_changed: bool = False
    kinds_changed: bool = False
    mail_modseq: int = 0
    """Of the latest change of an email or mailbox."""
    kinds: dict[str, int] = field(default_factory=dict)
    """Of the latest change of each kind of items."""
    shared: frozenset[int] = frozenset()
    """Mailboxes that others may see."""
    has_twins: bool = False
    """Some emails are in several mailboxes."""
    flag_bits: dict[frozenset[str], int] = field(default_factory=dict)
    """Bits of flag sets seen before."""
    logged: set[int] = field(default_factory=set)
    """Mailboxes that may have flag changes in PostgreSQL's log."""

    def mailbox_value(self, mailbox: MailboxState) -> Mailbox:
        """The mailbox as others see it."""
        return Mailbox(
            account_id=self.account_id,
            mailbox_id=mailbox.mailbox_id,
            name=mailbox.name,
            role=mailbox.role,
            uid_validity=mailbox.uid_validity,
            uid_next=mailbox.uid_next,
            highest_modseq=mailbox.highest_modseq,
            total=mailbox.total,
            unseen=mailbox.unseen,
            deleted=mailbox.deleted,
            size=mailbox.size,
            subscribed=mailbox.name in self.subscriptions,
            created_modseq=mailbox.created_modseq,
            changed_modseq=mailbox.changed_modseq,
            sort_order=mailbox.sort_order,
            kept_days=mailbox.kept_days,
        )


def count(
    account: AccountState, mailbox: MailboxState, total: int, size: int, unseen: int, deleted: int
) -> None:
    """Add to the counts of a mailbox and its account (negative: take away)."""
    mailbox.total += total
    mailbox.size += size
    mailbox.unseen += unseen
    mailbox.deleted += deleted
    account.octets += size
    account.messages += total


def load_account(db: Database, account_id: int) -> AccountState | None:
    """Read an account whole, within the caller's transaction."""
    found = db.rows(
        "SELECT CASE WHEN a.quota <> 0 THEN a.quota ELSE coalesce(d.quota, 0) END,"
        " coalesce(s.modseq, 0), coalesce(s.uid_validity, 0)"
        " FROM account a LEFT JOIN account_state s ON s.account_id = a.account_id"
        " LEFT JOIN domain d ON d.name = a.domain WHERE a.account_id = ?",
        (account_id,),
    )
    if not found:
        return None
    quota, modseq, uid_validity = found[0]
    account = AccountState(account_id, modseq, uid_validity, quota)
    for mailbox in load_mailboxes(db, account_id):
        account.mailboxes[mailbox.mailbox_id] = account.by_name[mailbox.name] = mailbox
        account.octets += mailbox.size
        account.messages += mailbox.total
        account.mail_modseq = max(account.mail_modseq, mailbox.highest_modseq, mailbox.changed_modseq)
    for table in ("email_gone", "mailbox_gone"):
        ((latest,),) = db.rows(f"SELECT max(modseq) FROM {table} WHERE account_id = ?", (account_id,))
        account.mail_modseq = max(account.mail_modseq, latest or 0)
    account.kinds = dict(db.rows("SELECT kind, modseq FROM item_state WHERE account_id = ?", (account_id,)))
    if grants.KIND in account.kinds:
        rows = db.rows("SELECT data FROM item WHERE account_id = ? AND kind = ?", (account_id, grants.KIND))
        account.shared = grants.mailboxes_of(data for (data,) in rows)
    account.has_twins = bool(db.rows("SELECT 1 FROM twin WHERE account_id = ? LIMIT 1", (account_id,)))
    account.modseq = max(account.modseq, account.mail_modseq, *account.kinds.values())
    account.told = account.modseq
    names = db.rows("SELECT name FROM subscription WHERE account_id = ?", (account_id,))
    account.subscriptions = frozenset(name for (name,) in names)
    words = db.rows("SELECT name FROM keyword WHERE account_id = ? ORDER BY bit", (account_id,))
    account.keywords = tuple(word for (word,) in words)
    return account


def load_mailboxes(db: Database, account_id: int) -> list[MailboxState]:
    """An account's mailboxes with their counts as of now."""
    statement = _WITH_RETENTION if db.has_retention else _WITHOUT_RETENTION
    return [_mailbox(row) for row in db.rows(statement, (account_id,))]


def _mailbox(row: tuple[Any, ...]) -> MailboxState:
    (mailbox_id, name, role, uid_validity, uid_next, modseq, total, unseen, deleted, size,
     created_modseq, changed_modseq, sort_order, kept_days, later, later_unseen, later_deleted, later_size,
     last_uid, last_modseq) = row  # fmt: skip
    return MailboxState(
        mailbox_id=mailbox_id,
        name=name,
        role=Role(role) if role else None,
        uid_validity=uid_validity,
        uid_next=max(uid_next, last_uid + 1),
        highest_modseq=max(modseq, last_modseq),
        total=total + later,
        unseen=unseen + later_unseen,
        deleted=deleted + later_deleted,
        size=size + later_size,
        created_modseq=created_modseq,
        changed_modseq=changed_modseq,
        sort_order=sort_order,
        kept_days=kept_days,
        unsaved=later,
        told=max(modseq, last_modseq),
    )
