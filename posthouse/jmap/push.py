"""What changed for whom: the StateChange objects that every way of push carries (RFC 8620 §7.1).

Beside one's own account those are watched that share something one has subscribed to (RFC 9670 §1.4): their states
are those of what one sees, so that nothing is told of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from posthouse.accounts.shared_mailboxes import received
from posthouse.jmap import ids
from posthouse.jmap.mail import AccountMail
from posthouse.jmap.session import subscribes
from posthouse.jmap.shared_contacts import SharedContacts
from posthouse.jmap.shared_mail import SharedMail
from posthouse.store import grants
from posthouse.store.interface import Store
from posthouse.store.model import Role

MAIL_TYPES: Final = ("Email", "Mailbox", "Thread")
CONTACT_TYPES: Final = ("AddressBook", "ContactCard")
DELIVERY: Final = "EmailDelivery"
"""RFC 8621 §1.5: changes with every new email, whatever its mailbox, but not with flags or what is deleted.

It is the number of emails that ever came into a mailbox, so moves count too; those to the trash do not.
"""
MARK: Final = 16_384
"""Characters of a mark that are read; whatever stands behind is told again."""

States = dict[str, str]
"""Type → state."""
News = dict[int, States]
"""Account → what is new there."""


def state_change(news: News, push_state: str | None = None) -> dict[str, Any]:
    """The StateChange that tells new states of accounts; `push_state` is RFC 8887 §4.3.5.2."""
    change: dict[str, Any] = {
        "@type": "StateChange",
        "changed": {ids.encode(ids.ACCOUNT, account_id): states for account_id, states in news.items()},
    }
    return change if push_state is None else change | {"pushState": push_state}


class Watched:
    """The states of an account's types as a client knows them, and of those that share with it."""

    def __init__(
        self, store: Store, account_id: int, known: Collection[str], wanted: Collection[str] | None
    ) -> None:
        """`known`: types of items that may be told; `wanted`: those that the client wants, None: all."""
        self._store = store
        self.account_id = account_id
        self._known = known
        self._wanted = wanted
        self._told: News = {}
        self._heard: Callable[[], None] | None = None
        self._ends: dict[int, Callable[[], None]] = {}

    # --- hearing -------------------------------------------------------------------------------------

    def watch(self, heard: Callable[[], None]) -> None:
        """Call `heard` after changes of the account, and of those that share with it, until `end`."""
        self._heard = heard
        self._follow({self.account_id})

    def end(self) -> None:
        """Nobody listens any more."""
        self._heard = None
        self._follow(set())

    def _follow(self, accounts: set[int]) -> None:
        for gone in self._ends.keys() - accounts:
            self._ends.pop(gone)()
        if self._heard is not None:
            for new in accounts - self._ends.keys():
                self._ends[new] = self._store.watch_account(new, self._heard)

    # --- states --------------------------------------------------------------------------------------

    async def present(self) -> News:
        """All states, now."""
        found = {self.account_id: await self._own()}
        shared = [
            (owner.account_id, grant)
            for owner, grant in await received(self._store, self.account_id)
            if subscribes(grants.decode(grant.data))
        ]
        self._follow({self.account_id, *(owner for owner, _ in shared)})  # before their states are read
        for owner, grant in shared:
            if grants.decode(grant.data).mailboxes:
                state = await SharedMail(self._store, AccountMail(self._store, owner), grant).state()
                found[owner] = dict.fromkeys(MAIL_TYPES, str(state))
            if grants.decode(grant.data).address_books:
                kinds, sight = (await self._store.states(owner)).kinds, SharedContacts(grant)
                books = {kind: sight.state(kinds.get(kind, 0)) for kind in CONTACT_TYPES}
                found[owner] = found.get(owner, {}) | books
        return {account_id: self._asked_for(states) for account_id, states in found.items()}

    async def _own(self) -> States:
        states = await self._store.states(self.account_id)
        found = dict.fromkeys(MAIL_TYPES, str(states.mail))
        found |= {kind: str(state) for kind, state in states.kinds.items() if kind in self._known}
        boxes = await self._store.mailboxes(self.account_id)
        found[DELIVERY] = str(sum(box.uid_next - 1 for box in boxes if box.role is not Role.TRASH))
        return found

    def _asked_for(self, states: States) -> States:
        if self._wanted is None:
            return states
        return {kind: state for kind, state in states.items() if kind in self._wanted}

    async def begin(self, last: str | None) -> None:
        """The client knows what `mark` gave once (None: everything as it is now)."""
        self._told = await self.present() if last is None else _parse_mark(last, self.account_id)

    async def news(self) -> News:
        """What the client does not know yet; from now on it does."""
        present = await self.present()
        new: News = {}
        for account_id, states in present.items():
            told = self._told.get(account_id, {})
            changed = {kind: state for kind, state in states.items() if told.get(kind) != state}
            if changed:
                new[account_id] = changed
        self._told = present
        return new

    @property
    def mark(self) -> str:
        """All that the client knows, as one word."""
        return ".".join(
            f"{kind}:{state}" if account_id == self.account_id else f"{account_id}-{kind}:{state}"
            for account_id, states in sorted(self._told.items())
            for kind, state in sorted(states.items())
        )


def _parse_mark(text: str, own: int) -> News:
    found: News = {}
    for item in text[:MARK].split("."):
        name, colon, state = item.partition(":")
        account, dash, kind = name.partition("-")
        if colon and not dash:
            found.setdefault(own, {})[name] = state
        elif colon and account.isascii() and account.isdigit() and len(account) < 20:
            found.setdefault(int(account), {})[kind] = state
    return found
