"""What a running script must ask of the world around it: a script itself reads nothing but its message.

`run` (`run.py`) is a generator: it yields one of these and is sent the answer. Whoever drives it may wait between.
"""

from __future__ import annotations

import msgspec


class Question(msgspec.Struct, frozen=True):
    """Asked by a script; the docstring of each says what its answer is."""


class MailboxExists(Question, frozen=True):
    """RFC 5490 §3.1: bool, whether mail may be filed into a mailbox of that name."""

    name: str


class MailboxIdExists(Question, frozen=True):
    """RFC 9042 §4: bool, whether there is a mailbox with that id."""

    mailbox_id: str


class SpecialUseExists(Question, frozen=True):
    """RFC 8579 §3.1: bool, whether the mailbox (empty: any) has that use, `\\Junk`."""

    mailbox: str
    use: str


class Metadata(Question, frozen=True):
    """RFC 5490 §3.3, §4.2: str or None, the value of an annotation of a mailbox (empty: of the server)."""

    mailbox: str
    name: str


class Seen(Question, frozen=True):
    """RFC 7352 §3: bool, whether this id was remembered and its time is not over."""

    unique_id: bytes


class Included(Question, frozen=True):
    """RFC 6609 §3.2: `Script` or None, a script of the account (`personal`) or of the house, compiled.

    SieveError of that script passes through.
    """

    name: str
    personal: bool
