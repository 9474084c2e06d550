"""How much of one kind an account does at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from posthouse.errors import Temporary


class TooBusy(Temporary):
    """One more would be too many."""


class Busy:
    """A counter by account with a limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[int, int] = {}

    @contextlib.contextmanager
    def one(self, account_id: int) -> Iterator[None]:
        """Count one in for as long as it lasts. TooBusy."""
        count = self._counts.get(account_id, 0)
        if count >= self._most:
            raise TooBusy("too many at once")
        self._counts[account_id] = count + 1
        try:
            yield
        finally:
            self._counts[account_id] -= 1
            if not self._counts[account_id]:
                del self._counts[account_id]
