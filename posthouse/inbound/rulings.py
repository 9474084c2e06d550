"""What a judge of wanted and unwanted mail says to delivery, one ruling for each account.

The judge itself (`junk`) stands beside this folder; `house.py` joins them through these values.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from posthouse.inbound.checks import Examination
from posthouse.inbound.mail import Mail
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Op
from posthouse.store.model import Account


class Place(enum.Enum):
    """Where a copy goes."""

    INBOX = "inbox"
    JUNK = "junk"
    REJECTS = "rejects"
    TRASH = "trash"
    """Of a masked address that is switched off."""


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one account's copy."""

    place: Place = Place.INBOX
    """Where it goes if it is kept."""
    reply: Reply | None = None
    """What to answer when every account rules so; None: it is taken. Others' copies then go to `place`."""
    keep: bool = True
    """Refused, it is still kept in `place`."""
    field: bytes = b""
    """A header field to add, CRLF-ended."""
    record: bytes = b""
    """The verdict, for the store."""
    note: str = ""
    """A line for the timeline."""
    junk_percent: int = -1
    """How surely it is junk, from 0 to 100: 50 and more is what goes to Junk (RFC 5235 §2.3); -1: not judged."""
    virus: int = 0
    """RFC 5235 §3: 0 not looked at, 1 none … 5 surely one."""
    ops: tuple[Op[Any], ...] = ()
    """To be committed with the copy; of a refused message by themselves."""


RuleFor = Callable[[Sequence[Account]], Awaitable[dict[int, Ruling]]]
"""Rules about one message: account id → ruling; asked for nobody when it is only handed on. May raise `Refused` (for
everybody) and Temporary."""
Judge = Callable[[Examination], RuleFor]


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a message that one of our accounts sends."""

    reply: Reply | None = None
    """Why it may not be sent now; None: it may."""
    held: str = ""
    """Why what goes elsewhere must wait in the queue for an administrator; empty: it goes."""
    ops: tuple[Op[Any], ...] = ()


LeaveFor = Callable[[Sequence[str], Sequence[str]], Awaitable[Leave]]
"""Asked with all final recipients of a message, and those elsewhere."""
Outgoing = Callable[[Mail], LeaveFor | None]
"""Who watches what our accounts send; None: nobody need be asked about this one."""


def common_reply(rulings: Sequence[Ruling]) -> Reply | None:
    """The reply to a message that nobody takes: the temporary one first; None: somebody takes it."""
    replies = [one.reply for one in rulings if one.reply is not None]
    if not replies or len(replies) < len(rulings):
        return None
    return min(replies, key=lambda reply: reply.code)
