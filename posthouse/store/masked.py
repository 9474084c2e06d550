"""Changes of masked addresses (`masked_model.py` says what they are)."""

from __future__ import annotations

from posthouse.store.account_model import Item
from posthouse.store.masked_model import Masked
from posthouse.store.operations import Op


class AddMasked(Op[Item], frozen=True, kw_only=True):
    """Give an account a masked address.

    Conflict when somebody has or had the address; NotFound: no domain of ours; OverQuota: the account has `most`;
    Temporary: it was given `most_lately` since `lately`.
    """

    account_id: int
    masked: Masked
    due_at: float | None = None
    """When a pending one is over."""
    most: int
    most_lately: int
    lately: int
    """POSIX seconds."""


class PutMasked(Op[Item], frozen=True, kw_only=True):
    """Change one; its address stays. NotFound; Conflict when `unchanged_since` is not its mod-sequence."""

    account_id: int
    item_id: int
    masked: Masked
    due_at: float | None = None
    unchanged_since: int


class NoteMasked(Op[None], frozen=True, kw_only=True):
    """Mail came to it: to be committed with the mail. A pending one is enabled; harmless when it is gone."""

    account_id: int
    item_id: int
    at: int


class RemoveMasked(Op[None], frozen=True, kw_only=True):
    """Take it from its owner for good; nobody gets it again. NotFound; Conflict as of PutMasked, when that is given."""

    account_id: int
    item_id: int
    unchanged_since: int | None = None
