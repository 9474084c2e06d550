"""Somebody else's mail as a grant shows it: some mailboxes, and of each email what is in these (RFC 8621 §2).

It looks like an account in which there is nothing else. Names of mailboxes that are not shared do not show in the
paths of those that are; an email that is in others too is only seen here; and the state does not move with what
cannot be seen. When what is granted has changed, changes since before cannot be told (`Grant.rights_since`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from posthouse.accounts import mailbox_rights
from posthouse.accounts.mailbox_rights import MailboxRights
from posthouse.accounts.shared_mailboxes import visible_names
from posthouse.jmap.errors import MethodError
from posthouse.jmap.mail import AccountMail, standing_of
from posthouse.jmap.states import Since, parse_state
from posthouse.store import grants
from posthouse.store.account_model import EmailChange, Item, MailboxGone, Passage
from posthouse.store.interface import Store
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import Mailbox


class SharedMail(AccountMail):
    """One account's mail for somebody who is not its owner; made for one method call."""

    is_own = False

    def __init__(self, store: Store, whole: AccountMail, grant: Item) -> None:
        """`whole`: all of the account's mail, whose threads are remembered there; `grant`: the item."""
        super().__init__(store, whole.account_id)
        self._whole = whole
        self._grant = grants.decode(grant.data)
        self._changed_at = grant.modseq
        self._rights_since = grants.rights_since(grant)
        self.audience = (whole.account_id, grant.item_id, grant.modseq)

    async def mailboxes(self) -> tuple[Mailbox, ...]:
        """Those that are shared, under names that tell nothing of others."""
        shares = self._grant.mailboxes
        visible = [box for box in await self._whole.mailboxes() if box.mailbox_id in shares]
        names = visible_names(visible)
        return tuple(
            msgspec.structs.replace(
                box, name=names[box.mailbox_id], subscribed=shares[box.mailbox_id].subscribed
            )
            for box in visible
        )

    def rights(self, box: Mailbox) -> MailboxRights:
        """What the grant says of a mailbox."""
        return mailbox_rights.of_share(self._grant.mailboxes.get(box.mailbox_id), box)

    async def indexes(self, mailbox_ids: Iterable[int] | None = None) -> dict[int, MailboxIndex]:
        """The indexes of shared mailboxes; others are passed over."""
        present = sorted(box.mailbox_id for box in await self.mailboxes())
        if mailbox_ids is not None:
            asked = frozenset(mailbox_ids)
            present = [number for number in present if number in asked]
        return await self._whole.indexes(present)

    async def is_elsewhere_too(self, email_ids: Sequence[int]) -> set[int]:
        """Those of these emails that are also in mailboxes that are not shared."""
        seen, whole = await self.find(email_ids), await self._whole.find(email_ids)
        return {number for number in seen if len(whole[number].places) > len(seen[number].places)}

    # --- states and changes --------------------------------------------------------------------------

    async def state(self) -> int:
        """The latest mod-sequence of what can be seen, or of the grant."""
        return max(self._changed_at, *(self.changed_at(box) for box in await self.mailboxes()), 0)

    def changed_at(self, box: Mailbox) -> int:
        """A mailbox's latest change; whether it is subscribed to is in the grant."""
        own = super().changed_at(box)
        return max(own, self._changed_at) if self._changed_at > self._rights_since else own

    def properties_changed_at(self, box: Mailbox) -> int:
        """The latest change of more than counts."""
        own = super().properties_changed_at(box)
        return max(own, self._changed_at) if self._changed_at > self._rights_since else own

    def created_at(self, box: Mailbox) -> int:
        """For whoever was granted it, a mailbox was there since then at the latest."""
        return min(box.created_modseq, self._rights_since)

    def place(self, text: str, latest: int) -> Since:
        """As for one's own mail; and what was before the rights were as they are is not told (RFC 8620 §5.2)."""
        since = parse_state(text, latest)
        if since.begun < self._rights_since:
            raise MethodError("cannotCalculateChanges", "what is shared has changed")
        return since

    async def mailboxes_gone(self, since: int) -> list[MailboxGone] | None:
        """None ever: a mailbox that was deleted has left the grant, which ends the history."""
        return []

    async def changes(self, since: int) -> list[EmailChange] | None:
        """Emails that changed, came into sight or left it."""
        indexes = await self.indexes()
        known = await self._store.email_changes(self.account_id, since)
        passages = await self._store.passages(self.account_id, list(indexes), since)
        if known is None or passages is None:
            return None
        present = {each.email_id for each in known if standing_of(indexes, each.email_id) is not None}
        born = {
            each.email_id: each.created_modseq if each.email_id in present else each.first_modseq
            for each in known
        }
        gone = {each.email_id: each.thread_id for each in known if each.gone}
        story = _Story(indexes, born, since, passages)
        changed = _modseqs(indexes, since)
        for passage in passages:
            changed[passage.email_id] = max(passage.modseq, changed.get(passage.email_id, 0))
        living = [number for number in changed if number not in gone]
        threads = await self.threads(living)
        found: list[EmailChange] = []
        for number, modseq in changed.items():
            before, now = story.was_visible(number), standing_of(indexes, number) is not None
            change = EmailChange(
                email_id=number,
                created_modseq=0 if before else story.came_at(number),
                modseq=modseq,
                gone=not now,
                thread_id=0 if now else gone.get(number) or threads.get(number, number),
            )
            found.append(change)
        return sorted(found, key=lambda change: (change.modseq, change.email_id))

    # --- what is remembered of the whole account -------------------------------------------------------

    async def threads(self, email_ids: Sequence[int]) -> dict[int, int]:
        """Email → thread, for at least these emails."""
        return await self._whole.threads(email_ids)

    async def threads_in(self, indexes: Iterable[MailboxIndex]) -> dict[int, int]:
        """The same for all emails of some mailboxes."""
        return await self._whole.threads_in(indexes)

    def members_anywhere(self, thread_id: int) -> list[int]:
        """The emails of a thread, wherever they are."""
        return self._whole.members_anywhere(thread_id)

    async def with_attachment(self, email_ids: Sequence[int]) -> set[int]:
        """Those of these emails that have attachments."""
        return await self._whole.with_attachment(email_ids)


class _Story:
    """What was in sight at a mod-sequence, by what came in and went out since."""

    def __init__(
        self,
        indexes: dict[int, MailboxIndex],
        born: dict[int, int],
        since: int,
        passages: list[Passage],
    ) -> None:
        self._indexes = indexes
        self._born = born
        self._since = since
        self._first: dict[int, dict[int, Passage]] = defaultdict(dict)
        for passage in passages:
            self._first[passage.email_id].setdefault(passage.mailbox_id, passage)

    def was_visible(self, email_id: int) -> bool:
        """Whether an email was in a shared mailbox then."""
        if self._born.get(email_id, self._since + 1) > self._since:
            return False  # there was no such email yet
        first = self._first.get(email_id, {})
        return any(not passage.came for passage in first.values()) or any(
            index.find(email_id) is not None for number, index in self._indexes.items() if number not in first
        )

    def came_at(self, email_id: int) -> int:
        """When an email that was not there came."""
        first = self._first.get(email_id, {})
        came = [passage.modseq for passage in first.values() if passage.came]
        born = self._born.get(email_id, 0)
        return min([born, *came] if born > self._since else came, default=0)


def _modseqs(indexes: dict[int, MailboxIndex], since: int) -> dict[int, int]:
    """The emails whose placements changed after a mod-sequence."""
    found: dict[int, int] = {}
    for index in indexes.values():
        for number, modseq in zip(index.email_ids, index.modseqs, strict=True):
            if modseq > since:
                found[number] = max(modseq, found.get(number, 0))
    return found
