"""What a view notes of what its client has been told, is still to be told, and wants to be told."""

from __future__ import annotations

import msgspec

from posthouse.ranges import EMPTY, Ranges


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
