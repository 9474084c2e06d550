"""What a Sieve script wants done with a message (RFC 5228 §2.10, §4, and the actions of its extensions).

Values only: the script says them, delivery (`inbound/sieving.py`) does them. An `Outcome` is complete: where the
implicit keep stands (RFC 5228 §2.10.2) there is a `Keep` in it.
"""

from __future__ import annotations

import msgspec


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done. `line` is where the script says it, 0: it is implied."""

    line: int = 0


class Fcc(msgspec.Struct, frozen=True, kw_only=True):
    """Where a copy of what is sent is kept (RFC 8580 §3); the fields mean what they mean in `FileInto`."""

    mailbox: str
    flags: frozenset[str] = frozenset()
    create: bool = False
    special_use: str = ""
    mailbox_id: str = ""


class Keep(Action, frozen=True, kw_only=True):
    """File it where it would have gone without a script (RFC 5228 §4.3)."""

    flags: frozenset[str] = frozenset()
    """RFC 5232 §4: flags and keywords as IMAP writes them."""


class FileInto(Action, frozen=True, kw_only=True):
    """File it into a mailbox (RFC 5228 §4.1)."""

    mailbox: str
    """The name in Unicode, levels parted by `/`; `INBOX` in any case."""
    flags: frozenset[str] = frozenset()
    create: bool = False
    """RFC 5490 §3.2: make the mailbox when it is not there; else the message is kept in the inbox."""
    special_use: str = ""
    """RFC 8579 §4: rather the mailbox with this use (`\\Junk`), if there is one; `mailbox` is the other choice."""
    mailbox_id: str = ""
    """RFC 9042 §3: rather the mailbox with this id; `mailbox` is the other choice."""


class Discard(Action, frozen=True, kw_only=True):
    """Throw it away without a word (RFC 5228 §4.4); it only ends the implicit keep."""


class Redirect(Action, frozen=True, kw_only=True):
    """Send it on (RFC 5228 §4.2)."""

    address: str
    notify: str = ""
    """RFC 6009 §3: NOTIFY as RFC 3461 writes it; empty: as it came."""
    ret: str = ""
    """RFC 6009 §3: FULL or HDRS; empty: as it came."""
    within: float | None = None
    """RFC 6009 §4: seconds in which it is to be delivered."""
    until: float | None = None
    """RFC 6009 §4: or the moment, in POSIX seconds."""
    by_mode: str = ""
    """RFC 2852 §4: R or N, and T behind it; empty: as it came."""


class Reject(Action, frozen=True, kw_only=True):
    """Refuse it (RFC 5429 §2)."""

    reason: str
    extended: bool = False
    """`ereject`: rather by a reply in the protocol than by a message."""


class Vacation(Action, frozen=True, kw_only=True):
    """Answer that one is away (RFC 5230 §4)."""

    reason: str
    seconds: int
    """For how long the same person gets no second answer; 0: each message is answered (RFC 6131 §2)."""
    subject: str = ""
    """Empty: made from the message's."""
    from_address: str = ""
    """What stands in From; empty: the account's own."""
    addresses: tuple[str, ...] = ()
    """Addresses that are the account's too."""
    mime: bool = False
    """`reason` is a MIME entity."""
    handle: str = ""
    """What tells one answer from another; empty: its words do."""
    fcc: Fcc | None = None


class Notify(Action, frozen=True, kw_only=True):
    """Tell somebody (RFC 5435 §3)."""

    method: str
    """A URI, `mailto:` (RFC 5436)."""
    message: str = ""
    importance: int = 2
    """1 high, 2 usual, 3 low."""
    from_address: str = ""
    options: tuple[str, ...] = ()
    fcc: Fcc | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All that a script wants."""

    actions: tuple[Action, ...]
    """In the script's order, no two that are the same."""
    content: bytes | None = None
    """The message as the script changed it (RFC 5293, RFC 5703), with as much of its body as `Facts.content` had; None:
    unchanged."""
    remember: tuple[tuple[bytes, int], ...] = ()
    """RFC 7352 §3: ids of what is no duplicate, to be kept when all is done, and for how many seconds."""
    fault: str = ""
    """What went wrong, with its line; then the message is kept as if there was no script (RFC 5228 §2.10.6)."""
