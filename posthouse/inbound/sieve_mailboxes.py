"""The mailboxes that a script names, among those of its account (RFC 5228 §4.1, RFC 5490, 8579, 9042).

Mailboxes that others share are not the account's: what a script names there is not found, and nothing of such a name
is made.
"""

from __future__ import annotations

from typing import Final

from posthouse.accounts.object_ids import MAILBOX, encode
from posthouse.errors import Conflict
from posthouse.imap.mailbox_name import OTHERS, BadName, above, canonical, check_new
from posthouse.limits import MAILBOXES
from posthouse.store.interface import CreateMailbox, Store
from posthouse.store.model import Mailbox, Role

USES: Final = {f"\\{role.value}": role for role in Role if role is not Role.INBOX}
"""RFC 6154 §2: in lower case; they are the same in any."""


class Mailboxes:
    """Those of one account, as they were when first asked for."""

    def __init__(self, store: Store, account_id: int) -> None:
        self._store = store
        self._account_id = account_id
        self._all: tuple[Mailbox, ...] | None = None

    async def all(self) -> tuple[Mailbox, ...]:
        """All of them."""
        if self._all is None:
            self._all = await self._store.mailboxes(self._account_id)
        return self._all

    async def named(self, name: str) -> Mailbox | None:
        """By its name."""
        name = canonical(name)
        return next((one for one in await self.all() if one.name == name), None)

    async def with_id(self, mailbox_id: str) -> Mailbox | None:
        """By its id (RFC 8474 §4)."""
        return next((one for one in await self.all() if encode(MAILBOX, one.mailbox_id) == mailbox_id), None)

    async def with_use(self, use: str) -> Mailbox | None:
        """By its special use."""
        role = USES.get(use.lower())
        return next((one for one in await self.all() if role is not None and one.role is role), None)

    async def make(self, name: str, use: str = "") -> Mailbox:
        """Make a mailbox, with the levels above it, subscribed. BadName where no such name may be.

        A commit of its own, just before the message's: all that can remain of it is an empty mailbox.
        """
        name = check_new(canonical(name))
        if name.startswith(OTHERS) or f"{name}/" == OTHERS:
            raise BadName("Mailboxes of others are not for scripts")
        existing = {one.name for one in await self.all()}
        names = [level for level in (*above(name), name) if level not in existing]
        if len(existing) + len(names) > MAILBOXES:
            raise BadName(f"An account may have at most {MAILBOXES} mailboxes")
        role = USES.get(use.lower())
        try:
            await self._store.commit(
                *(
                    CreateMailbox(
                        account_id=self._account_id,
                        name=each,
                        role=role if each == name else None,
                        subscribed=True,
                    )
                    for each in names
                )
            )
        except Conflict:
            pass  # another message was quicker
        self._all = None
        made = await self.named(name)
        if made is None:
            raise BadName("The mailbox cannot be made now")
        return made
