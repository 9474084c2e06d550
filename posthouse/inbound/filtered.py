"""What delivery gives to an account's Sieve script, and what comes of it: values between `deliver` and `sieving`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from posthouse.inbound.bounceable import Standing
from posthouse.inbound.mail import Mail, MailRecipient
from posthouse.inbound.plan import Box
from posthouse.inbound.rulings import Place, Ruling
from posthouse.store.interface import AddEmail, Op
from posthouse.store.model import Event


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """One account's copy on its way through the account's script."""

    mail: Mail
    box: Box
    recipient: MailRecipient
    """Of RCPT, that led to the account."""
    fields: bytes
    """What stands before the content, but for the account's own fields."""
    end: bytes
    """What closes our fields before a text that begins without a header."""
    ruling: Ruling
    place: Place
    """Where a kept copy goes."""
    standing: Standing
    """Of the reverse-path."""
    silent: bool
    """Nobody is told what becomes of it: its reverse-path is probably somebody else's."""
    depth: int
    open: bool
    """Whoever brought it still waits for the reply."""

    @property
    def account_id(self) -> int:
        """Whose copy it is."""
        return self.box.account.account_id

    @property
    def prefix(self) -> bytes:
        """All that stands before the content in the account's mailboxes."""
        # RFC 5321 §4.4: trace lines stand on top; what else we add comes behind them.
        return self.box.prefix + self.fields + self.ruling.field + self.end


class Refusal(msgspec.Struct, frozen=True):
    """A script refuses the message (RFC 5429)."""

    reason: str
    extended: bool
    """`ereject`: a reply that cannot say the reason in full is better than a message that can."""
    kept: AddEmail
    """The copy, should nobody be there who can be told."""


class Filtered(msgspec.Struct, frozen=True, kw_only=True):
    """What a script makes of a copy."""

    ops: tuple[Op[Any], ...] = ()
    """For the commit: the copies that are kept, and whatever else it wants."""
    notes: tuple[Event, ...] = ()
    refusal: Refusal | None = None
    quiet: bool = False
    """No automatic answer is due: it was thrown away, or the script answers itself."""


class Filters(Protocol):
    """Who has the scripts."""

    async def filter(self, passage: Passage) -> Filtered | None:
        """What the account's script makes of a copy; None: there is no script for it."""
        ...

    async def has_script(self, account_id: int) -> bool:
        """Whether an account has a script at all. Asked for every copy: cheap."""
        ...

    async def sees_junk(self, account_id: int) -> bool:
        """Whether its script decides itself what becomes of junk (RFC 5235)."""
        ...

    async def tell_refusal(self, passage: Passage, reason: str) -> Sequence[Op[Any]]:
        """What tells the sender of a message that it was refused, and why (RFC 5429 §2.2.1)."""
        ...
