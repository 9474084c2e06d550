"""What an engine asks of its full-text index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class TextSearch(Protocol):
    """What an engine needs of a full-text index; it is made with the store and reads messages through it."""

    async def matching(
        self, account_id: int, email_ids: Sequence[int], field: str, needle: str
    ) -> frozenset[int]:
        """As `Store.search_text`."""
        ...

    async def similar(self, account_id: int, field: str, words: Sequence[str]) -> list[list[str]]:
        """As `Store.similar_words`."""
        ...

    def notify_added(self) -> None:
        """Messages were committed: index them some time. Called on the event loop; must be quick."""
        ...

    def notify_removed(self, account_id: int, email_ids: Sequence[int]) -> None:
        """Messages are gone for good: forget them some time. Called on the event loop; must be quick."""
        ...

    async def close(self) -> None:
        """Finish; the store is still open."""
        ...
