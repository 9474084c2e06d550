"""Changes for the care of the house: the suppression list; what imports and exports need. See `operations.py`."""

from __future__ import annotations

from posthouse.store.model import Suppression
from posthouse.store.operations import Op


class KeepUids(Op[bool], frozen=True, kw_only=True):
    """Prepare a mailbox for messages that bring their UIDs along. The result: whether it has `uid_validity` now.

    A mailbox that never had a message takes the `uid_validity`; the next message gets `uid_next` at least. Else the
    UIDs would mean other messages to clients: it stays as it is. NotFound.
    """

    account_id: int
    mailbox_id: int
    uid_validity: int
    uid_next: int = 1


class NoteTransferred(Op[None], frozen=True, kw_only=True):
    """Remember what an import or export has done, so that it can go on where it was: marks of its own making."""

    account_id: int
    marks: tuple[bytes, ...]


class PutSuppression(Op[None], frozen=True, kw_only=True):
    """Put an address on the suppression list, or change why it is there."""

    suppression: Suppression


class RemoveSuppression(Op[None], frozen=True, kw_only=True):
    """Take an address off the list, or forget the suggestion. NotFound."""

    address: str


class NoteRefusal(Op[None], frozen=True, kw_only=True):
    """An address was refused for good as unknown: count it; on the list after `after` in a row (0: never).

    What an administrator put on the list stays as it is. Left out while the disk is full.
    """

    address: str
    reply: str
    at: float
    after: int


class ForgetRefusals(Op[None], frozen=True, kw_only=True):
    """Mail was taken for these addresses: they are suggested no more."""

    addresses: tuple[str, ...]
