"""Bounded memory of the event loop's side: recent message bytes, where messages are, looked-up people."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from posthouse import limits
from posthouse.store.model import (
    Stored,
)

K = TypeVar("K")
V = TypeVar("V")


class RecentBytes:
    """Blobs by number, the least recently used dropped above a number of octets."""

    def __init__(self, octets: int = limits.MESSAGE_CACHE_OCTETS) -> None:
        self._limit = octets
        self._blobs: OrderedDict[int, bytes] = OrderedDict()
        self.octets = 0

    def get(self, blob_id: int) -> bytes | None:
        """The bytes, when they are here."""
        raw = self._blobs.get(blob_id)
        if raw is not None:
            self._blobs.move_to_end(blob_id)
        return raw

    def put(self, blob_id: int, raw: bytes) -> None:
        """Keep bytes (large ones are not)."""
        if len(raw) > limits.MESSAGE_CACHE_ITEM or blob_id in self._blobs:
            return
        self._blobs[blob_id] = raw
        self.octets += len(raw)
        while self.octets > self._limit:
            self.octets -= len(self._blobs.popitem(last=False)[1])


class Recent(Generic[K, V]):
    """Values by key, the least recently used dropped above a number of entries."""

    def __init__(self, entries: int) -> None:
        self._limit = entries
        self._values: OrderedDict[K, V] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __getitem__(self, key: K) -> V:
        self._values.move_to_end(key)
        return self._values[key]

    def get(self, key: K) -> V | None:
        """The value, or None."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        self._values[key] = value
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()


StoredPlaces = Recent[tuple[int, int], Stored]
"""Where messages are, by (account, email)."""
