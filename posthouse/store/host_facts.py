"""What is known of one host of the house, for those who tell the world about it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A host that serves this store, by its last sign of life."""

    name: str
    """As its configuration says."""
    roles: tuple[str, ...]
    ports: Mapping[str, int]
    """Listener → port, of those that it serves."""
    version: str
    """Of the program that runs there."""
    silent: float = 0.0
    """Seconds since the last sign of life."""
    ended: bool = False
    """In good order; else it is there, or it died."""
