"""Where the search index gets messages from: the little of a store engine that it needs.

Email ids ascend over all accounts and are never given twice, so "everything after this id" is what is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol


class Source(Protocol):
    """A store's emails. Called in the index's own threads, several at once; may block."""

    def after(self, email_id: int, limit: int) -> list[tuple[int, int]]:
        """(email id, account id) of the next committed emails, ascending."""
        ...

    def present(self, email_ids: Sequence[int]) -> set[int]:
        """Those of the emails that the store still has."""
        ...

    def ceiling(self) -> int:
        """An id above all that were ever given."""
        ...

    def read(self, account_id: int, email_ids: Sequence[int]) -> Iterator[bytes | None]:
        """Whole messages one by one, in order; None for one that is gone, damaged or another account's."""
        ...

    def close(self) -> None:
        """Let go of everything; no other method is called any more."""
        ...
