"""What makes backups of a store and verifies it: the store itself, or (a cluster's) somebody beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol


class Keeper(Protocol):
    """One store's keeper."""

    def backup(self, folder: Path) -> AsyncIterator[Any]:
        """Copy everything; how far it has come."""
        ...

    def verify(self, *, fix: bool) -> AsyncIterator[Any]:
        """Read everything; flaws, and how far it has come."""
        ...
