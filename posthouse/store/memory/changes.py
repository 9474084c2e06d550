"""What a commit did, as the writer tells the event loop: in commit order, after the commit is durable.

Each value carries the account's mod-sequence, so that whoever loaded a mailbox or an account from disk meanwhile
knows which of the waiting changes it has seen already.
"""

from __future__ import annotations

import msgspec

from posthouse.ranges import Ranges
from posthouse.store.mailbox_index import NewRows
from posthouse.store.model import (
    Content,
    Mailbox,
    Stored,
)


class Change(msgspec.Struct):
    """Base of all changes."""


class Appended(Change):
    """New messages in a mailbox."""

    account_id: int
    mailbox_id: int
    modseq: int
    rows: NewRows
    after: int = 0
    """The mailbox's mod-sequence before: whoever has not come so far has missed another node's change."""


class Flagged(Change):
    """Flags became `flags & keep | add`."""

    account_id: int
    mailbox_id: int
    modseq: int
    uids: Ranges
    keep: int
    add: int
    after: int = 0


class FlagsLogged(Change):
    """Flags were made durable in a log, and are still to be written where they belong."""


class Vanished(Change):
    """Messages left a mailbox."""

    account_id: int
    mailbox_id: int
    modseq: int
    uids: Ranges
    after: int = 0


class MailboxGone(Change):
    """The mailbox was deleted."""

    account_id: int
    mailbox_id: int


class AccountChanged(Change):
    """The account's mailbox list as it now is, for those parts that changed."""

    account_id: int
    modseq: int
    mailboxes: tuple[Mailbox, ...]
    gone: tuple[int, ...]
    octets: int
    messages: int
    subscriptions: frozenset[str] | None
    keywords: tuple[str, ...] | None
    mail_modseq: int
    kinds: dict[str, int] | None
    after: int = 0
    """The account's mod-sequence before."""


class AccountGone(Change):
    """The account was removed."""

    account_id: int


class ContentKept(Change):
    """Bytes and place of a new email: most mail is read soon after it came."""

    account_id: int
    email_id: int
    stored: Stored
    content: Content


class EmailsSwept(Change):
    """The remains of emails were removed for good."""

    account_id: int
    email_ids: list[int]


class RemainsCame(Change):
    """There is something for the sweeper."""


class PeopleChanged(Change):
    """Domains, accounts, aliases or what logs people in changed."""


class RecipientKnown(Change):
    """A backup domain's recipient was learnt."""

    address: str
    valid: bool
    at: int


class QueueChanged(Change):
    """Something may have become due."""


class LessonsCame(Change):
    """There is something for the junk filter to learn from."""
