"""Annotations of mailboxes and of an account as a whole (RFC 5464), kept as items: one for each mailbox that has some.

An item's number is the mailbox's, or ACCOUNT_WIDE for what RFC 5464 §3.1 calls the server's annotations, which here
belong to one account. Each entry knows the mod-sequence of its latest change, and a removed one leaves its name behind,
so that a session that has heard of everything up to a mod-sequence can be told exactly what changed since.
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.store.operations import Op

KIND: Final = "MailboxMetadata"
"""The kind of these items."""
ACCOUNT_WIDE: Final = 0
"""The number of the item that belongs to no mailbox."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One annotation: its value, or None once it was removed, and since when it is so."""

    value: bytes | None
    modseq: int


Entries = dict[str, Entry]
"""By name, in lower case: names are the same in any case (RFC 5464 §3.2)."""

decode: Final = msgspec.msgpack.Decoder(Entries).decode
encode: Final = msgspec.msgpack.encode


class SetMetadata(Op[int], frozen=True, kw_only=True):
    """Set entries of a mailbox, or of the account; None removes one. The result is the mod-sequence of the change.

    All or none. NotFound; Conflict when there would be more than METADATA_ENTRIES; OverQuota when the annotations of
    the account would have more than METADATA_OCTETS. What changes nothing takes no mod-sequence: then it is 0.
    """

    account_id: int
    mailbox_id: int = ACCOUNT_WIDE
    values: dict[str, bytes | None]
