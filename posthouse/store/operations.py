"""Every change that a store can be asked for: frozen values, several of which make one commit (`Store.commit`).

Each says what it does, what its result is, and which errors refuse it. `interface.py` hands them on, so that whoever
uses a store needs one import.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from posthouse.ranges import Ranges
from posthouse.store.model import (
    Account,
    Alias,
    AppPassword,
    Content,
    Domain,
    Event,
    Lease,
    Mailbox,
    NewQueued,
    Outcome,
    Role,
    Stored,
)

R = TypeVar("R")


class Op(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """One change. The type argument is the type of its result."""


# --- mailboxes ------------------------------------------------------------------------------------------


class CreateMailbox(Op[Mailbox], frozen=True, kw_only=True):
    """Make a mailbox (parents are not made). Conflict when the name or the role is taken."""

    account_id: int
    name: str
    role: Role | None = None
    subscribed: bool = False


class RenameMailbox(Op[None], frozen=True, kw_only=True):
    """Give a mailbox and all below it a new path. UIDs and UIDVALIDITY stay. Conflict, NotFound."""

    account_id: int
    mailbox_id: int
    name: str
    with_subscriptions: bool = False
    """Whether subscriptions follow: to JMAP they belong to mailboxes, to IMAP to names (RFC 9051 §6.3.7)."""


class DeleteMailbox(Op[None], frozen=True, kw_only=True):
    """Remove a mailbox with its messages; what is below it stays. NotFound."""

    account_id: int
    mailbox_id: int


class SetRole(Op[None], frozen=True, kw_only=True):
    """Give a mailbox a role, or none. Conflict when another has it."""

    account_id: int
    mailbox_id: int
    role: Role | None


class ArrangeMailbox(Op[None], frozen=True, kw_only=True):
    """Give a mailbox its place among its siblings (RFC 8621 §2 sortOrder). NotFound."""

    account_id: int
    mailbox_id: int
    sort_order: int


class Subscribe(Op[None], frozen=True, kw_only=True):
    """Add or remove a name in the subscription list; no such mailbox need exist (RFC 9051 §6.3.7)."""

    account_id: int
    name: str
    subscribed: bool


# --- messages -------------------------------------------------------------------------------------------


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """Where a new message stands."""

    uid_validity: int
    uid: int
    email_id: int
    modseq: int


class AddEmail(Op[Added], frozen=True, kw_only=True):
    """Put a message into a mailbox. NotFound; OverQuota when `check_quota` and it would not fit."""

    account_id: int
    mailbox_id: int
    also: tuple[int, ...] = ()
    """Other mailboxes that the same email is in from the start (RFC 8621 §4.1.1)."""
    content: Content
    prefix: bytes = b""
    """Headers added on delivery, CRLF-ended; they stand before the content and are this email's alone."""
    flags: frozenset[str] = frozenset()
    received_at: int
    """INTERNALDATE (RFC 9051 §2.3.3)."""
    check_quota: bool = True
    event: Event | None = None
    """A timeline line to record with it; " uid N" is added to its detail."""
    verdict: bytes = b""
    """JSON: what the junk filter made of it (`Store.verdict`); empty: it was not judged."""


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """What COPYUID tells (RFC 4315 §3): source and target UIDs, pairwise ascending."""

    uid_validity: int
    source: Ranges
    target: Ranges


class CopyEmails(Op[Copied], frozen=True, kw_only=True):
    """Copy messages with flags and dates; each copy is a new email sharing the blob. NotFound, OverQuota.

    UIDs that are not there are passed over.
    """

    account_id: int
    source_id: int
    uids: Ranges
    target_id: int


class MoveEmails(Op[Copied], frozen=True, kw_only=True):
    """Move messages (RFC 6851): the email keeps its id; the source records the UIDs as expunged."""

    account_id: int
    source_id: int
    uids: Ranges
    target_id: int


class PlaceEmails(Op[Copied], frozen=True, kw_only=True):
    """Put emails into another mailbox too: the same emails, sharing flags from now on (RFC 8621 §4.1.1).

    UIDs that are not there are passed over; an email that is in the target already stays as it is. NotFound, OverQuota:
    an email counts in each mailbox that it is in, as a copy would.
    """

    account_id: int
    source_id: int
    uids: Ranges
    target_id: int


class FlagsSet(msgspec.Struct, frozen=True, kw_only=True):
    """What a flag change did."""

    modseq: int
    """The new mod-sequence, or the mailbox's present one when nothing changed."""
    changed: Ranges
    """UIDs whose flags really changed (only they got the new mod-sequence)."""
    modified: Ranges
    """UIDs left alone because of `unchanged_since` (RFC 7162 §3.1.3)."""


class SetFlags(Op[FlagsSet], frozen=True, kw_only=True):
    """Add, remove or replace flags. UIDs that are not there are passed over. Conflict: too many keywords."""

    account_id: int
    mailbox_id: int
    uids: Ranges
    action: str
    """"add", "remove" or "replace"."""
    flags: frozenset[str]
    unchanged_since: int | None = None


class Expunged(msgspec.Struct, frozen=True, kw_only=True):
    """What an expunge removed."""

    uids: Ranges
    modseq: int


class Expunge(Op[Expunged], frozen=True, kw_only=True):
    """Remove messages for good: those of `uids` (None: all) that have \\Deleted, or all of `uids` when `force`."""

    account_id: int
    mailbox_id: int
    uids: Ranges | None = None
    force: bool = False
    complete: bool = False
    """All of `uids` or none (RFC 8508): NotFound when one of them is not there any more."""
    taken_out: bool = False
    """Somebody took them out of here and left them in their other mailboxes: out of Junk, they are wanted."""


# --- the outbound queue ---------------------------------------------------------------------------------


class Enqueue(Op[int], frozen=True, kw_only=True):
    """Queue a message for other hosts; the result is its queue id."""

    message: NewQueued
    content: Content | Stored
    """New bytes, or bytes that the store holds already (a forward, a DSN's original)."""
    prefix: bytes = b""


class LeaseDue(Op[list[Lease]], frozen=True, kw_only=True):
    """Take what is due, grouped by (message, destination), oldest first. An expired lease is due again."""

    holder: str
    now: float
    until: float
    limit: int
    except_destinations: frozenset[str] = frozenset()
    """Destinations that are at their concurrency limit."""
    per_destination: int = 0
    """Leases of one destination at most; 0: no such bound."""


class ReleaseLease(Op[None], frozen=True, kw_only=True):
    """Give a lease back untried (draining)."""

    queue_id: int
    token: int


class RecordOutcomes(Op[None], frozen=True, kw_only=True):
    """Note what a lease's attempt came to. Conflict when the lease is no longer ours (fencing).

    When every recipient is final the message leaves the queue; the timeline keeps its story.
    """

    queue_id: int
    token: int
    outcomes: tuple[Outcome, ...]


class ChangeQueued(Op[int], frozen=True, kw_only=True):
    """An administrator's hand: "retry" (due now), "hold", "release", "drop", "fail" (due now, for
    the last time: the recipients' `last_attempt`).

    Acts on WAITING and HELD recipients of the message (or of one recipient). The result counts them.
    """

    queue_id: int
    action: str
    now: float
    recipient_id: int | None = None


class WakeDestination(Op[int], frozen=True, kw_only=True):
    """Make all WAITING recipients of a destination due now (ETRN, the primary is back, queue flush).

    An empty destination means all. The result counts them.
    """

    destination: str
    now: float
    later_than: float | None = None
    """Only those that would be due after this; None: after `now`."""


# --- people -----------------------------------------------------------------------------------------------


class PutDomain(Op[None], frozen=True, kw_only=True):
    """Add a domain (`new`: Conflict when it exists) or change one."""

    domain: Domain
    new: bool = False


class RemoveDomain(Op[None], frozen=True, kw_only=True):
    """Remove a domain with its aliases. NotFound; Conflict while it has accounts."""

    name: str


class AddAccount(Op[Account], frozen=True, kw_only=True):
    """Add an account with its mailboxes (INBOX, Drafts, Sent, Junk, Trash, Archive, subscribed, with roles).

    Conflict when the address is an account or alias already; NotFound when its domain is not LOCAL here.
    """

    address: str
    password: str
    scram: str = ""
    display_name: str = ""
    quota: int = 0
    admin: bool = False
    disabled: bool = False
    created_at: int


class PutAccount(Op[None], frozen=True, kw_only=True):
    """Change an account (same `account_id`, same `address`). NotFound."""

    account: Account


class RemoveAccount(Op[None], frozen=True, kw_only=True):
    """Remove an account with all its mail. NotFound."""

    account_id: int


class PutAlias(Op[None], frozen=True, kw_only=True):
    """Add an alias (`new`: Conflict when an account or alias has the address) or change one."""

    alias: Alias
    new: bool = False


class RemoveAlias(Op[None], frozen=True, kw_only=True):
    """Remove an alias. NotFound."""

    address: str


class AddAppPassword(Op[AppPassword], frozen=True, kw_only=True):
    """Add an app password. NotFound; Conflict when the account has `most` already (0: any number)."""

    account_id: int
    name: str
    password: str
    created_at: int
    scope: tuple[str, ...] = ()
    expires_at: int = 0
    most: int = 0


class RemoveAppPassword(Op[None], frozen=True, kw_only=True):
    """Revoke an app password. NotFound."""

    account_id: int
    app_password_id: int


class TouchAppPassword(Op[None], frozen=True, kw_only=True):
    """Note when and from where an app password was last used."""

    app_password_id: int
    at: int
    peer: str = ""


class RememberRecipient(Op[None], frozen=True, kw_only=True):
    """A backup MX's memory of whether the primary knows a recipient; also how a list is fed."""

    address: str
    valid: bool
    at: int


# --- the timeline -----------------------------------------------------------------------------------------


class RecordEvents(Op[None], frozen=True, kw_only=True):
    """Add lines to messages' timelines."""

    events: tuple[Event, ...]


class PruneEvents(Op[int], frozen=True, kw_only=True):
    """Forget events older than a time; the result counts them."""

    before: float
