"""The administrator's hand on the suppression list: look, add, remove. The rule that fills it is `outbound`'s."""

from __future__ import annotations

import time
from collections.abc import Callable

from posthouse import limits
from posthouse.accounts.addresses import normalize_address
from posthouse.store.care import PutSuppression, RemoveSuppression
from posthouse.store.interface import Store
from posthouse.store.model import Suppression


class Suppressing:
    """Commands on the suppression list."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def suppress_list(self, *, limit: int = 1000) -> list[Suppression]:
        """The list with what is suggested for it, by address."""
        return await self._store.suppressions(limit=limit)

    async def suppress_add(self, *, addresses: tuple[str, ...], reason: str = "") -> int:
        """Send nothing to these addresses from now on; how many they are."""
        if len(reason) > limits.OUTBOUND_REPLY_TEXT or not reason.isprintable():
            raise ValueError(f"a reason is one line of at most {limits.OUTBOUND_REPLY_TEXT} characters")
        wanted = [normalize_address(address) for address in addresses]
        operations = [
            PutSuppression(
                suppression=Suppression(
                    address=address, active=True, reason=reason, failures=0, at=self._now()
                )
            )
            for address in wanted
        ]
        await self._store.commit(*operations)
        return len(wanted)

    async def suppress_remove(self, *, addresses: tuple[str, ...]) -> int:
        """Send to these addresses again, and forget what was suggested; how many they are. NotFound."""
        wanted = [normalize_address(address) for address in addresses]
        await self._store.commit(*(RemoveSuppression(address=address) for address in wanted))
        return len(wanted)
