"""Accounts in memory on the event loop: mailbox lists with counts, subscriptions, keywords, usage.

IMAP's STATUS and LIST are answered from here without a thread. The writer publishes every change; while an account
is being loaded they wait and are applied when they are newer than what was read.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.store.account_model import States
from posthouse.store.memory.changes import AccountChanged
from posthouse.store.model import (
    Mailbox,
    Usage,
)
from posthouse.store.sql.mailboxes import INBOX, exact_name
from posthouse.store.sql.state import AccountState
from posthouse.store.sql.transaction import Interest

LoadAccount = Callable[[int], Awaitable[AccountState | None]]
"""Read an account whole from the database; None when there is none."""


class AccountView:
    """One account's mailboxes as others see them."""

    def __init__(self, state: AccountState) -> None:
        self.modseq = state.modseq
        self.by_name: dict[str, Mailbox] = {}
        self._names: dict[int, str] = {}
        self._ordered: tuple[Mailbox, ...] | None = None
        for mailbox in state.mailboxes.values():
            self._put(state.mailbox_value(mailbox))
        self.subscriptions = state.subscriptions
        self.keywords = state.keywords
        self.usage = Usage(octets=state.octets, messages=state.messages)
        self.states = States(mail=state.mail_modseq, kinds=dict(state.kinds))

    def mailboxes(self) -> tuple[Mailbox, ...]:
        """All, ordered by name with INBOX first."""
        if self._ordered is None:
            self._ordered = tuple(
                sorted(self.by_name.values(), key=lambda mailbox: (mailbox.name != INBOX, mailbox.name))
            )
        return self._ordered

    def mailbox(self, name: str) -> Mailbox | None:
        """One by name, INBOX in any case."""
        return self.by_name.get(name) or self.by_name.get(exact_name(name))

    def has(self, mailbox_id: int) -> bool:
        """Whether there is such a mailbox."""
        return mailbox_id in self._names

    def apply(self, change: AccountChanged) -> bool:
        """Take over what a commit changed. False: another node's change is missing before it."""
        if change.modseq <= self.modseq:
            return True  # read from disk with that commit in it
        if change.after > self.modseq:
            return False
        self.modseq = change.modseq
        for mailbox_id in (*change.gone, *(mailbox.mailbox_id for mailbox in change.mailboxes)):
            name = self._names.pop(mailbox_id, None)
            if name is not None and self.by_name[name].mailbox_id == mailbox_id:
                del self.by_name[name]
        for mailbox in change.mailboxes:
            self._put(mailbox)
        self._ordered = None
        self.usage = Usage(octets=change.octets, messages=change.messages)
        kinds = self.states.kinds if change.kinds is None else change.kinds
        self.states = States(mail=change.mail_modseq, kinds=kinds)
        if change.subscriptions is not None:
            self.subscriptions = change.subscriptions
        if change.keywords is not None:
            self.keywords = change.keywords
        return True

    def _put(self, mailbox: Mailbox) -> None:
        self.by_name[mailbox.name] = mailbox
        self._names[mailbox.mailbox_id] = mailbox.name


class AccountViews:
    """The accounts in memory, the least recently used dropped above STATES_CACHED."""

    def __init__(self, load: LoadAccount, interest: Interest) -> None:
        self._read = load
        self._stale: dict[int, int] = {}
        """The mod-sequence that an account being read must have reached."""
        self._interest = interest
        self._views: OrderedDict[int, AccountView] = OrderedDict()
        self._loading: dict[int, asyncio.Task[AccountView]] = {}
        self._missed: dict[int, list[AccountChanged]] = {}
        self._gone: set[int] = set()
        self._watchers: dict[int, list[Callable[[], None]]] = {}
        self.was_read: Callable[[int, AccountView], None] = _nothing
        """Called with each account that was read, before anybody gets it."""

    def cached(self, account_id: int) -> AccountView | None:
        """The account when it is in memory."""
        view = self._views.get(account_id)
        if view is not None:
            self._views.move_to_end(account_id)
        return view

    async def get(self, account_id: int) -> AccountView:
        """The account, read when it is not in memory. NotFound."""
        view = self.cached(account_id)
        if view is not None:
            return view
        task = self._loading.get(account_id)
        if task is None:
            self._interest.accounts.add(account_id)  # before reading: later commits are described to us
            self._missed[account_id] = []
            task = self._loading[account_id] = asyncio.create_task(self._load(account_id))
        return await asyncio.shield(task)

    async def _load(self, account_id: int) -> AccountView:
        try:
            view = await self._read_view(account_id)
            while not self._up_to_date(view, account_id):
                view = await self._read_view(account_id)
            self.was_read(account_id, view)
            self._views[account_id] = view
            if len(self._views) > limits.STATES_CACHED:
                self._lose_interest(self._views.popitem(last=False)[0])
            return view
        finally:
            del self._loading[account_id]
            del self._missed[account_id]
            self._stale.pop(account_id, None)
            self._gone.discard(account_id)
            self._lose_interest(account_id)

    def _lose_interest(self, account_id: int) -> None:
        """Have changes of an account described no more, unless it is in memory or somebody watches it."""
        wanted = (self._views, self._loading, self._watchers)
        if not any(account_id in each for each in wanted):
            self._interest.accounts.discard(account_id)

    def _up_to_date(self, view: AccountView, account_id: int) -> bool:
        """Apply what came while an account was read; whether that was all."""
        missed, self._missed[account_id] = self._missed[account_id], []
        for change in missed:
            if not view.apply(change):
                return False
        return view.modseq >= self._stale.pop(account_id, 0)

    async def _read_view(self, account_id: int) -> AccountView:
        state = await self._read(account_id)
        if state is None or account_id in self._gone:
            self._interest.accounts.discard(account_id)
            raise NotFound("There is no such account.")
        return AccountView(state)

    def behind(self, account_id: int, modseq: int) -> None:
        """Another node has brought an account to a mod-sequence: read it again when it is asked for."""
        view = self._views.get(account_id)
        if view is not None and view.modseq < modseq:
            self.drop(account_id)
        elif account_id in self._missed:
            self._stale[account_id] = max(modseq, self._stale.get(account_id, 0))

    def drop(self, account_id: int) -> None:
        """Read the account again when it is asked for."""
        self._views.pop(account_id, None)

    def cached_modseqs(self) -> dict[int, int]:
        """The accounts in memory with their mod-sequences."""
        return {account_id: view.modseq for account_id, view in self._views.items()}

    def apply(self, change: AccountChanged) -> None:
        """A commit changed an account."""
        view = self._views.get(change.account_id)
        if view is not None:
            if not view.apply(change):
                self.drop(change.account_id)
        elif change.account_id in self._missed:
            self._missed[change.account_id].append(change)

    def forget(self, account_id: int) -> None:
        """The account was removed."""
        if account_id in self._loading:
            self._gone.add(account_id)
        self._views.pop(account_id, None)
        self._interest.accounts.discard(account_id)

    def watch(self, account_id: int, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after any change; the result ends it."""
        self._watchers.setdefault(account_id, []).append(heard)
        self._interest.accounts.add(account_id)

        def end() -> None:
            present = self._watchers.get(account_id, [])
            if heard in present:
                present.remove(heard)
            if not present:
                self._watchers.pop(account_id, None)
                self._lose_interest(account_id)

        return end

    def watchers(self, account_id: int) -> tuple[Callable[[], None], ...]:
        """Whom to call after a change."""
        return tuple(self._watchers.get(account_id, ()))


def _nothing(_account_id: int, _view: AccountView) -> None:
    """Nobody else has the account in memory."""
