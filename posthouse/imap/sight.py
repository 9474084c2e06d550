"""What a session sees of its account and of others' mailboxes at one moment, and who else's accounts that concerns."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from posthouse.imap.mailboxes_seen import shared
from posthouse.imap.session import Session
from posthouse.store.model import Mailbox


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """Mailboxes under the names by which the login knows them, its own first."""

    mailboxes: Sequence[Mailbox]
    subscribed: frozenset[str]
    owners: frozenset[int] = frozenset()
    """Accounts that share something with this one."""


async def look(session: Session, *, abroad: bool) -> Sight:
    """As it is now. `abroad`: others' mailboxes too."""
    store, account_id = session.store, session.account_id
    own = await store.mailboxes(account_id)
    subscribed = await store.subscriptions(account_id)
    others = await shared(session) if abroad else []
    if not others:
        return Sight(mailboxes=own, subscribed=subscribed)
    taken = {mailbox.name for mailbox in own}
    others = [seen for seen in others if seen.name not in taken]
    return Sight(
        mailboxes=(*own, *(seen.mailbox for seen in others)),
        subscribed=subscribed | {seen.name for seen in others if seen.mailbox.subscribed},
        owners=frozenset(seen.mailbox.account_id for seen in others),
    )
