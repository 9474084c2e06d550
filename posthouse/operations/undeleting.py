"""Commands on mail that was deleted and can be brought back: an administrator sees header fields, never the text."""

from __future__ import annotations

import time
from collections.abc import Callable

from posthouse import limits
from posthouse.accounts.deleted_mail import DeletedMail, DeletedRow
from posthouse.accounts.named import named_account
from posthouse.errors import NotFound
from posthouse.operations.administration import Method
from posthouse.store.interface import Store


class Undeleting:
    """The commands for it."""

    def __init__(self, store: Store, mail: DeletedMail, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._mail = mail
        self._now = now

    def commands(self) -> dict[str, Method]:
        """By their names."""
        return {"message.deleted": self.message_deleted, "message.undelete": self.message_undelete}

    async def message_deleted(
        self, *, address: str, since: float = 0.0, limit: int = 200
    ) -> list[DeletedRow]:
        """What an account can have back, the latest first; of the last `since` seconds (0: all). NotFound."""
        if limit < 1:
            raise ValueError("a limit is at least 1")
        account = await named_account(self._store, address)
        return await self._mail.listed(account.account_id, limit, self._moment(since))

    async def message_undelete(
        self, *, address: str, ids: tuple[int, ...] = (), since: float = 0.0, into: str = ""
    ) -> int:
        """Bring messages back: these, or all that were deleted in the last `since` seconds; how many.

        NotFound when one of `ids` cannot be brought back (any more); OverQuota: then none is.
        """
        if bool(ids) == bool(since):
            raise ValueError("give ids, or since when")
        account = await named_account(self._store, address)
        if ids:
            there = {each.email_id for each in await self._store.deleted_emails(account.account_id, ids)}
            if missing := [number for number in ids if number not in there]:
                raise NotFound(
                    f"not among the deleted mail of {account.address}: {', '.join(map(str, missing))}"
                )
            return len(await self._mail.restore(account.account_id, ids, into))
        restored = 0
        while found := await self._store.deleted(
            account.account_id, limits.DELETED_LISTED, self._moment(since)
        ):
            some = await self._mail.restore(account.account_id, [each.email_id for each in found], into)
            restored += len(some)
            if not some:  # gone for good meanwhile
                break
        return restored

    def _moment(self, since: float) -> int:
        return int(self._now() - since) if since else 0
