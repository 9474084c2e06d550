"""Adding a message, and flags between their text and their bits.

`add` is the hottest function of the store: it changes counts in memory and gathers a few rows.
"""

from __future__ import annotations

from typing import NamedTuple

from posthouse import limits
from posthouse.errors import Conflict, OverQuota
from posthouse.store.interface import Added, AddEmail
from posthouse.store.judgement import LessonKind
from posthouse.store.memory import changes
from posthouse.store.model import (
    DELETED,
    KEYWORD_SHIFT,
    RECEIVED_MAX,
    SEEN,
    SYSTEM_FLAGS,
    Role,
    Stored,
)
from posthouse.store.sql.judgement import note_lesson
from posthouse.store.sql.state import AccountState, MailboxState, count
from posthouse.store.sql.timeline import record_added
from posthouse.store.sql.transaction import Transaction
from posthouse.store.sql.twins import pair

UID_MAX = (1 << 32) - 1
"""RFC 9051 §2.3.1.1: UIDs are 32 bits; at the end a mailbox takes no more."""
_SYSTEM_BITS = {name.lower(): 1 << bit for bit, name in enumerate(SYSTEM_FLAGS)}


def add(tx: Transaction, op: AddEmail) -> Added:
    """AddEmail."""
    tx.refuse_growth()
    account, mailbox = tx.mailbox(op.account_id, op.mailbox_id)
    others = [tx.mailbox(op.account_id, mailbox_id)[1] for mailbox_id in op.also] if op.also else ()
    content = op.content
    size = len(op.prefix) + content.size
    if op.check_quota:
        refuse_over_quota(tx, account, size * (1 + len(others)))
    for each in (mailbox, *others):
        refuse_full(each, 1)
    flags = flag_bits(tx, account, op.flags) if op.flags else 0
    blob_id = tx.blobs.of(op.account_id, content)
    email_id = tx.take_numbers("email")
    received_at = min(op.received_at, RECEIVED_MAX)
    tx.add_row("email", (email_id, op.account_id, blob_id, size, received_at, op.prefix))
    new = _New(email_id, flags, size, received_at)
    uid = mailbox.uid_next
    modseq = _arrive(tx, account, mailbox, new)
    stored = Stored(blob_id=blob_id, prefix=op.prefix, size=size, account_id=op.account_id)
    tx.published.append(changes.ContentKept(op.account_id, email_id, stored, content))
    if op.event is not None:
        record_added(tx, op.event, uid)
    if op.verdict:
        tx.add_row("verdict", (op.account_id, email_id, "", op.verdict))
    elif mailbox.role is Role.SENT or any(each.role is Role.SENT for each in others):
        note_lesson(tx, LessonKind.SENT, op.account_id, email_id)
    if others:
        places = [(mailbox.mailbox_id, uid), *((each.mailbox_id, each.uid_next) for each in others)]
        for each in others:
            _arrive(tx, account, each, new, created_modseq=modseq)
        pair(tx, account, email_id, *places)
    return Added(uid_validity=mailbox.uid_validity, uid=uid, email_id=email_id, modseq=modseq)


class _New(NamedTuple):
    """A new email, as each of its placements tells it."""

    email_id: int
    flags: int
    size: int
    received_at: int


def _arrive(
    tx: Transaction, account: AccountState, mailbox: MailboxState, new: _New, created_modseq: int = 0
) -> int:
    """Put a new email into a mailbox; the mod-sequence of that. `created_modseq`: when it is elsewhere already."""
    email_id, flags, size, received_at = new
    modseq = tx.bump_for_new_mail(account, mailbox)
    uid = mailbox.uid_next
    mailbox.uid_next = uid + 1
    count(account, mailbox, 1, size, 0 if flags & SEEN else 1, 1 if flags & DELETED else 0)
    key = (account.account_id, mailbox.mailbox_id)
    created_modseq = created_modseq or modseq
    tx.add_row("placement", (*key, uid, email_id, flags, modseq, created_modseq, size, received_at, tx.now))
    rows = tx.new_rows(account.account_id, mailbox, modseq)
    rows.uids.append(uid)
    rows.flags.append(flags)
    rows.modseqs.append(modseq)
    rows.email_ids.append(email_id)
    rows.sizes.append(size)
    rows.received.append(max(received_at, 0))
    return modseq


def refuse_over_quota(tx: Transaction, account: AccountState, octets: int) -> None:
    """Raise OverQuota when so much more would not fit."""
    quota = account.quota or tx.settings.default_quota
    if quota and account.octets + octets > quota:
        raise OverQuota("The mailbox is full.")


def refuse_full(mailbox: MailboxState, messages: int) -> None:
    """Raise Conflict when the UIDs would not suffice."""
    if mailbox.uid_next + messages > UID_MAX:
        raise Conflict("The mailbox has used up its UIDs.")


def flag_bits(tx: Transaction, account: AccountState, flags: frozenset[str], *, make: bool = True) -> int:
    """The bits of flags; unknown keywords are made (`make`) or passed over. Conflict: too many keywords."""
    known = account.flag_bits.get(flags)
    if known is not None:
        return known
    bits = 0
    new: list[str] = []
    keywords = {name.lower(): 1 << KEYWORD_SHIFT + i for i, name in enumerate(account.keywords)}
    for flag in sorted(flags):
        lower = flag.lower()
        if lower in _SYSTEM_BITS:
            bits |= _SYSTEM_BITS[lower]
        elif lower in keywords:
            bits |= keywords[lower]
        elif lower.startswith("\\"):
            if lower != "\\recent":  # RFC 9051 §2.3.2: nobody can set it, and it is obsolete
                raise Conflict("There is no such system flag.")
        elif make:
            keywords[lower] = 1 << KEYWORD_SHIFT + len(account.keywords) + len(new)
            bits |= keywords[lower]
            new.append(flag)
    if new:
        _make_keywords(tx, account, new)
    if make and len(account.flag_bits) < _FLAG_SETS:
        account.flag_bits[flags] = bits
    return bits


_FLAG_SETS = 256
"""Flag sets remembered for an account."""


def _make_keywords(tx: Transaction, account: AccountState, new: list[str]) -> None:
    if len(account.keywords) + len(new) > limits.KEYWORDS:
        raise Conflict("The account has used up its keywords.")
    tx.refuse_growth()
    tx.bump(account)
    for bit, name in enumerate(new, KEYWORD_SHIFT + len(account.keywords)):
        tx.execute("INSERT INTO keyword VALUES (?, ?, ?)", (account.account_id, bit, name))
    account.keywords += tuple(new)
    account.keywords_changed = True
