"""Changes of what an account has beside its mail: items and uploads. `operations.py` has everything else."""

from __future__ import annotations

from posthouse.store.account_model import Item, Upload
from posthouse.store.model import Content
from posthouse.store.operations import Op


class PutItem(Op[Item], frozen=True, kw_only=True):
    """Add an item (no `item_id`: it gets one) or change one.

    NotFound when `item_id` is not there and `new` does not allow it; Conflict when `unchanged_since` is not its
    present mod-sequence (0: it must not be there).
    """

    account_id: int
    kind: str
    data: bytes
    item_id: int | None = None
    new: bool = False
    due_at: float | None = None
    unchanged_since: int | None = None


class RemoveItem(Op[None], frozen=True, kw_only=True):
    """Remove an item. NotFound."""

    account_id: int
    kind: str
    item_id: int


class AddUpload(Op[Upload], frozen=True, kw_only=True):
    """Keep octets for a client until they are used or old. OverQuota when they are larger than all may be."""

    account_id: int
    content: Content
    media_type: str
    created_at: int
    kept: bool = False
    """Something needs it: only RemoveUpload removes it."""


class RemoveUpload(Op[None], frozen=True, kw_only=True):
    """Forget an upload; harmless when it is gone."""

    account_id: int
    upload_id: int


class PruneUploads(Op[int], frozen=True, kw_only=True):
    """Forget uploads older than a time, some at a time; the result counts them."""

    before: int
    """POSIX seconds."""
