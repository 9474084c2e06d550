"""What a view notes of what its client has been told, is still to be told, and wants to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from posthouse.ranges import EMPTY, Ranges

if TYPE_CHECKING:
    from posthouse.imap.session import Session
    from posthouse.imap.view import View


class StandingResults(Protocol):
    """Results of searches of which every change is told (`commands.contexts`)."""

    def behind(self, view: View) -> bool:
        """Whether a change in the mailbox may have changed some result."""

    def leave(self, session: Session, view: View, gone: Ranges) -> None:
        """Messages are about to be told as expunged: tell first which results lose them."""

    async def tell(self, session: Session, view: View) -> None:
        """Send what the results have won and lost."""


class Told(msgspec.Struct, frozen=True):
    """Flag changes that need no report: those to `uids` with first ≤ mod-sequence ≤ last."""

    uids: Ranges
    first: int
    last: int
    alone: bool
    """No other change lies between: then these need no report even where only the present state can be looked at."""


class Gap(msgspec.Struct, frozen=True):
    """What happened since the client was last told."""

    flagged: Ranges
    vanished: Ranges


class Heeds:
    """What a client wants to hear of the selected mailbox (RFC 5465 §3.1)."""

    __slots__ = ("flags", "messages", "own_gone")

    def __init__(self, *, messages: bool, flags: bool) -> None:
        self.messages = messages
        """New messages and expunges; False: of nothing but the answers to its own commands."""
        self.flags = flags
        self.own_gone = EMPTY
        """What the client has expunged itself and was not told of yet."""
