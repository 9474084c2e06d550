"""Whole results of Email/query, remembered until mail changes: paging through one costs nothing."""

from __future__ import annotations

from array import array
from collections import OrderedDict

from posthouse import limits


class Results:
    """Whole results of queries, the latest few of all accounts."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[int, array[int]]] = OrderedDict()

    def get(self, key: bytes, state: int) -> array[int] | None:
        """A result, when mail has not changed since."""
        found = self._kept.get(key)
        if found is None or found[0] != state:
            return None
        self._kept.move_to_end(key)
        return found[1]

    def put(self, key: bytes, state: int, result: array[int]) -> None:
        """Remember a result."""
        self._kept[key] = (state, result)
        self._kept.move_to_end(key)
        while len(self._kept) > limits.JMAP_RESULTS or (
            len(self._kept) > 1 and sum(len(kept) for _, kept in self._kept.values()) > limits.JMAP_RESULT_IDS
        ):
            self._kept.popitem(last=False)
