"""Properties of Email beyond RFC 8621 that other parts of the house know: one seam, one table.

A part gives an `Extra`: its property's name, the capability that must be in `using`, and a function that reads it
for many emails at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from posthouse.jmap.context import Context

ReadExtra = Callable[["Context", int, Sequence[int]], Awaitable[dict[int, Any]]]
"""(context, account, emails) → email → value."""


class Extra(msgspec.Struct, frozen=True):
    """One property."""

    name: str
    read: ReadExtra


class EmailExtras:
    """All of them."""

    def __init__(self, extras: Sequence[Extra] = ()) -> None:
        self._extras = {extra.name: extra for extra in extras}
        self.names = frozenset(self._extras)

    async def read(
        self, context: Context, account_id: int, numbers: Sequence[int], properties: Sequence[str]
    ) -> dict[int, dict[str, Any]]:
        """The wanted ones of these emails."""
        found: dict[int, dict[str, Any]] = {number: {} for number in numbers}
        for name in properties:
            extra = self._extras.get(name)
            if extra is None:
                continue
            values = await extra.read(context, account_id, numbers)
            for number in numbers:
                found[number][name] = values.get(number)
        return found
