"""What an account has beside its mail, and what changed in it: states, changes, items, uploads. All are frozen."""

from __future__ import annotations

from typing import Final

from posthouse.store.model import Frozen, Stored

SUBMISSIONS: Final = "EmailSubmission"
"""The kind of items whose time is when a message leaves (RFC 8621 §7)."""


class States(Frozen, frozen=True, kw_only=True):
    """The latest mod-sequence of each part of an account."""

    mail: int
    """Of emails and mailboxes."""
    kinds: dict[str, int]
    """Of each kind of items; a kind that is not here never had any."""


class EmailChange(Frozen, frozen=True, kw_only=True):
    """An email that was created, changed (flags, mailboxes) or destroyed after a mod-sequence."""

    email_id: int
    created_modseq: int
    """Also of when it last lost \\Deleted: with that it was not there for some (RFC 8621 §4.1.1)."""
    modseq: int
    gone: bool = False
    thread_id: int = 0
    """Of a destroyed email, when it was known; else 0."""
    known_from: int = 0
    """Of when it was made, when it has lost \\Deleted since; else 0."""

    @property
    def first_modseq(self) -> int:
        """Of when it was made."""
        return self.known_from or self.created_modseq


class MailboxGone(Frozen, frozen=True, kw_only=True):
    """A mailbox that was deleted."""

    mailbox_id: int
    created_modseq: int
    modseq: int


class Passage(Frozen, frozen=True, kw_only=True):
    """An email came into a shared mailbox from another mailbox, or left it."""

    modseq: int
    mailbox_id: int
    came: bool
    email_id: int


class Item(Frozen, frozen=True, kw_only=True):
    """A small object of an account; what its data means is its kind's business."""

    account_id: int
    kind: str
    item_id: int
    data: bytes
    created_modseq: int
    modseq: int
    due_at: float | None = None
    """When somebody must look at it."""


class ItemChange(Frozen, frozen=True, kw_only=True):
    """An item that was created, changed or removed after a mod-sequence."""

    item_id: int
    created_modseq: int
    modseq: int
    gone: bool = False


class Upload(Frozen, frozen=True, kw_only=True):
    """Octets that a client has brought (RFC 8620 §6.1)."""

    upload_id: int
    stored: Stored
    media_type: str
    created_at: int
