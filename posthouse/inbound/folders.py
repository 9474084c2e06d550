"""Which mailbox of an account stands for a place: its inbox, its Junk, its Rejects, its Trash."""

from __future__ import annotations

from typing import Final

from posthouse.errors import Conflict, Temporary
from posthouse.inbound.rulings import Place
from posthouse.store.interface import CreateMailbox, Store
from posthouse.store.judgement import REJECTS
from posthouse.store.model import Mailbox, Role

INBOX: Final = "INBOX"
_ROLES: Final = {Place.JUNK: Role.JUNK, Place.TRASH: Role.TRASH}


class Folders:
    """Finds them, and makes what is made at first need."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, account_id: int, place: Place) -> Mailbox:
        """Where a copy goes; an account that has thrown such a folder away gets everything in the inbox."""
        if place is Place.REJECTS:
            return await self._rejects(account_id)
        if (role := _ROLES.get(place)) is not None:
            for mailbox in await self._store.mailboxes(account_id):
                if mailbox.role is role:
                    return mailbox
        inbox = await self._store.mailbox(account_id, INBOX)
        if inbox is None:
            raise Temporary("the account has no inbox")
        return inbox

    async def _rejects(self, account_id: int) -> Mailbox:
        """The mailbox for what is refused, made at first need; not subscribed: who looks for it finds it."""
        found = await self._store.mailbox(account_id, REJECTS)
        if found is not None:
            return found
        try:
            return await self._store.apply(CreateMailbox(account_id=account_id, name=REJECTS))
        except Conflict:
            found = await self._store.mailbox(account_id, REJECTS)  # another message was quicker
            if found is None:
                raise
            return found
