"""What the parts of Sieve delivery work with, and how much an account's scripts may send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from posthouse.accounts.directory import Directory
from posthouse.inbound.folders import Folders
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import Mail
from posthouse.limits import SIEVE_SENT
from posthouse.store.interface import Op, Store
from posthouse.store.judgement import Memo, PutMemo

Operations = Callable[[Mail, bytes, Handling], Awaitable[list[Op[Any]]]]
"""`Deliverer.operations`."""

_SENT: Final = "SieveSent"
_HOUR: Final = 3600


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What every part needs."""

    store: Store
    directory: Directory
    folders: Folders
    operations: Operations
    hostname: str
    now: Callable[[], float]


class Allowance:
    """What the scripts of an account may still send this hour: SIEVE_SENT messages.

    Messages that come at the same instant may each be counted as one; the bound is against floods, and holds then too.
    """

    def __init__(self, means: Means, account_id: int) -> None:
        self._means = means
        self._account_id = account_id
        self._before: int | None = None
        self._taken = 0

    async def take(self) -> bool:
        """Whether one more message may be sent."""
        if self._before is None:
            found = await self._means.store.memos(self._account_id, _SENT, [self._key()])
            self._before = int(found[0].data) if found else 0
        if self._before + self._taken >= SIEVE_SENT:
            return False
        self._taken += 1
        return True

    def ops(self) -> tuple[PutMemo, ...]:
        """What keeps the count."""
        if not self._taken:
            return ()
        count = (self._before or 0) + self._taken
        memo = Memo(
            account_id=self._account_id,
            kind=_SENT,
            key=self._key(),
            data=str(count).encode(),
            until=self._means.now() + 2 * _HOUR,
        )
        return (PutMemo(memo=memo),)

    def _key(self) -> str:
        return str(int(self._means.now()) // _HOUR)
