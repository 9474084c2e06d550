"""What the checks came to, as far as delivery is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from posthouse.inbound.bounceable import Standing
from posthouse.inbound.rulings import LeaveFor, RuleFor
from posthouse.smtp.replies import Reply
from posthouse.store.model import Event


class Handling(msgspec.Struct, frozen=True, kw_only=True):
    """How a message is to be delivered."""

    notes: tuple[Event, ...] = ()
    """Lines for the timeline."""
    junk: bool = False
    """It goes to Junk, not to the inbox."""
    reverse_path: Standing = Standing.PROVED
    """Whether notices about it would go to its sender."""
    end: bytes = b""
    """What must stand between our fields and a text that begins without a header."""
    rule: RuleFor | None = None
    """Who rules where each account's copy goes; None: nobody does."""
    leave: LeaveFor | None = None
    """Who must let it go out."""
    failures: Mapping[int, Reply] = {}
    """Recipients, by position, to whom it is not delivered, and why."""
    closed: bool = False
    """Nobody waits for a reply: what is refused is told by a message."""
    filtered: bool = True
    """The accounts' scripts see it."""
    depth: int = 0
    """How many scripts made it or sent it on, one after the other, within this delivery."""
    forwarder: str = ""
    """The address whose script sends it on."""
    again: bool = False
    """A script or a list sends it on: its arrival is in the timeline already."""
    authors: frozenset[str] = frozenset()
    """Addresses of which it was proved that they wrote it, as people are looked up; empty: nobody knows."""
    signed: bool = False
    """It is signed already, where that is wanted."""


PLAIN: Final = Handling()
CLOSED: Final = Handling(closed=True)
"""As a notice is delivered: from inside, as a part of something else."""
