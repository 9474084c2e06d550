"""Mail leaves mailboxes by itself some days after it came into them (`store.retention`): rounds, and the command."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from posthouse.accounts.named import named_account
from posthouse.config import Store as StoreSettings
from posthouse.errors import NotFound
from posthouse.store.interface import Store
from posthouse.store.model import Mailbox
from posthouse.store.retention import Aging, Defaults, RemoveOld, SetRetention, days_of

log: Final = logging.getLogger(__name__)


class RetentionRow(msgspec.Struct, frozen=True, kw_only=True):
    """After how many days mail leaves a mailbox."""

    mailbox: str
    days: int
    """0: it stays."""
    chosen: bool
    """For this mailbox; else it is so by default."""


def defaults_of(settings: StoreSettings) -> Defaults:
    """What the configuration says for whoever has said nothing."""
    return Defaults(trash=settings.trash_days, junk=settings.junk_days)


class Retaining:
    """One for the house. A round removes in small commits, so that mail does not wait for it."""

    def __init__(
        self, store: Store, settings: Callable[[], StoreSettings], now: Callable[[], float] = time.time
    ) -> None:
        """`settings`: those in force."""
        self._store = store
        self._settings = settings
        self._now = now

    async def round(self) -> int:
        """Remove what has been in its mailbox for too long, of all accounts; how many messages."""
        defaults, after, removed = defaults_of(self._settings()), (0, 0), 0
        while some := await self._store.aging(int(self._now()), defaults, after):
            after = (some[-1].account_id, some[-1].mailbox_id)
            for each in some:
                if each.has_old:
                    removed += await self._remove_from(each, defaults)
        if removed:
            log.info("old mail removed=%d", removed)
        return removed

    async def _remove_from(self, aging: Aging, defaults: Defaults) -> int:
        removed, done_to = 0, -1
        with contextlib.suppress(NotFound):  # the mailbox has gone, and its mail with it
            while done_to:
                found = await self._store.apply(
                    RemoveOld(
                        account_id=aging.account_id,
                        mailbox_id=aging.mailbox_id,
                        defaults=defaults,
                        after=max(done_to, 0),
                    )
                )
                removed, done_to = removed + found.messages, found.done_to
        return removed

    # --- the command -----------------------------------------------------------------------------------------

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        """By name."""
        return {"account.retention": self.account_retention}

    async def account_retention(
        self, *, address: str, mailbox: str = "", days: int | None = None, by_default: bool = False
    ) -> list[RetentionRow]:
        """Say after how many days (0: never) mail leaves a mailbox, or that the default holds again; how it is.

        Without a mailbox: how it is with all. NotFound; Conflict where a mailbox keeps everything.
        """
        account = await named_account(self._store, address)
        if not mailbox:
            if days is not None or by_default:
                raise ValueError("for which mailbox?")
            return [self._row(each) for each in await self._store.mailboxes(account.account_id)]
        found = await self._mailbox(account.account_id, mailbox)
        if days is not None or by_default:
            chosen = None if by_default else days
            key = {"account_id": account.account_id, "mailbox_id": found.mailbox_id}
            await self._store.apply(SetRetention(**key, days=chosen))
            found = await self._mailbox(account.account_id, mailbox)
        return [self._row(found)]

    async def _mailbox(self, account_id: int, name: str) -> Mailbox:
        found = await self._store.mailbox(account_id, name)
        if found is None:
            raise NotFound(f"no mailbox {name}")
        return found

    def _row(self, mailbox: Mailbox) -> RetentionRow:
        days = days_of(mailbox.kept_days, mailbox.role, defaults_of(self._settings()))
        return RetentionRow(mailbox=mailbox.name, days=days, chosen=mailbox.kept_days is not None)
