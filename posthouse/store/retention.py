"""Mail that leaves a mailbox by itself, some days after it came into it: the Trash, Junk, newsletters.

What counts is when a message came into this mailbox (RFC 8514 §3), not its own date. The owner says so for a mailbox;
for those with the roles trash and junk the house may have a default. Flagged messages stay. What leaves is expunged
like anything else: it can be brought back for as long as other deleted mail (`store.deleted`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from posthouse.store.model import Frozen, Role
from posthouse.store.operations import Op

DAY: Final = 86_400
KEPT_ROLES: Final = frozenset({Role.INBOX, Role.DRAFTS, Role.SNOOZED})
"""Of mailboxes that keep everything.

POP3 says of the inbox that nothing expires (RFC 2449 §6.7), drafts cannot be brought back, snoozed mail returns.
"""


class Defaults(Frozen, frozen=True, kw_only=True):
    """Days after which mail leaves mailboxes of a role whose owner has said nothing; 0: it stays."""

    trash: int = 0
    junk: int = 0

    def days(self, role: Role | None) -> int:
        """Of a mailbox with this role."""
        return {Role.TRASH: self.trash, Role.JUNK: self.junk}.get(role, 0) if role is not None else 0


def days_of(chosen: int | None, role: Role | None, defaults: Defaults) -> int:
    """The days that hold for a mailbox; 0: its mail stays."""
    if role in KEPT_ROLES:
        return 0
    return defaults.days(role) if chosen is None else chosen


class SetRetention(Op[None], frozen=True, kw_only=True):
    """Say after how many days mail leaves a mailbox: 0 never, None as the house does by default.

    NotFound; Conflict when a mailbox of this role keeps everything, or for more than RETENTION_DAYS.
    """

    account_id: int
    mailbox_id: int
    days: int | None


class RemoveOld(Op["OldRemoved"], frozen=True, kw_only=True):
    """Expunge some of the messages that have been in a mailbox for longer than the days that hold for it now.

    At most about PIECE_ROWS; those with UIDs above `after`. NotFound.
    """

    account_id: int
    mailbox_id: int
    defaults: Defaults
    after: int = 0


class OldRemoved(Frozen, frozen=True, kw_only=True):
    """What `RemoveOld` did."""

    messages: int
    """So many were removed."""
    done_to: int
    """Go on after this UID; 0: there is nothing more."""


class Aging(Frozen, frozen=True, kw_only=True):
    """A mailbox that mail leaves by itself."""

    account_id: int
    mailbox_id: int
    has_old: bool
    """Some message's time has come."""


class RetainedMail(Protocol):
    """The part of the store that answers where mail leaves by itself."""

    async def aging(self, now: int, defaults: Defaults, after: tuple[int, int] = (0, 0)) -> Sequence[Aging]:
        """Such mailboxes of all accounts, by account and mailbox above `after`; at most RETENTION_LOOKED_AT."""
        ...

    async def old_messages(self, account_id: int, mailbox_id: int, before: int) -> int:
        """How many messages that came into a mailbox before a time would leave it: those that are not flagged."""
        ...
