"""What a client is told beyond the selected mailbox: changed annotations, once it has enabled METADATA (RFC 5464 §4.1).

Made only for a session that asked, so that all others stay as small as they are. Nothing is queued: a commit to the
account only sets a mark, and what there is to tell is found by comparing, at the end of a command or during IDLE.
NOTIFY tells more (`commands.notify`).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, cast

import msgspec

from posthouse.errors import NotFound
from posthouse.imap.metadata_news import MetadataNews, metadata_line
from posthouse.imap.noted_store import NotedStore
from posthouse.imap.session import Session
from posthouse.imap.sight import Sight, look
from posthouse.store.interface import Op, Store
from posthouse.store.metadata import ACCOUNT_WIDE, SetMetadata


class _Owner(msgspec.Struct, frozen=True):
    """Somebody who shares something."""

    end: Callable[[], None]
    """Ends the watch on the account."""
    metadata: MetadataNews


class Notices:
    """What one session has asked to be told of its account, and of what others share with it."""

    __slots__ = (
        "_end_people",
        "_end_watch",
        "_owners",
        "account_id",
        "enabled_metadata",
        "metadata",
        "on_change",
        "stirred",
        "store",
    )

    def __init__(self, session: Session, metadata: MetadataNews | None) -> None:
        """`metadata`: None where nobody wants to hear of it."""
        self.account_id = session.account_id
        self.metadata = metadata
        self.enabled_metadata = False
        self.stirred = True
        """Something was committed since the client was last told, or nobody has looked yet."""
        self.on_change: Callable[[], None] | None = None
        """The wish to hear of every change while the client may be told of it."""
        store = session.services.store
        self.store = cast(Store, NotedStore(store, self))  # it answers all that a store does
        self._end_watch = store.watch_account(session.account_id, self._heard)
        self._end_people: Callable[[], None] | None = None
        self._owners: dict[int, _Owner] = {}

    @property
    def at_once(self) -> bool:
        """Whether the client wants to hear of changes outside of any command."""
        return False

    @property
    def delayed(self) -> bool:
        """Whether expunges wait for a command even so."""
        return False

    def close(self) -> None:
        """Watch no more."""
        self._end_watch()
        self._leave(self._owners.keys())
        self.on_change = None

    def _heard(self) -> None:
        self.stirred = True
        if self.on_change is not None:
            self.on_change()

    def note_own(self, op: Op[Any], result: Any) -> None:
        """This session has committed something itself."""
        if isinstance(op, SetMetadata) and op.account_id == self.account_id and self.metadata is not None:
            self.metadata.note_own(result)

    def behind(self, session: Session, expunges: bool) -> bool:
        """Whether there may be something to tell."""
        return self.stirred or (session.view is not None and session.view.behind(expunges))

    async def tell(self, session: Session, expunges: bool) -> None:
        """Send what the client does not know yet."""
        if self.stirred:
            self.stirred = False
            try:
                await self._tell_account(session)
            except NotFound:
                pass  # the account is gone, and with it the session in a moment
            except BaseException:
                self.stirred = True
                raise
        if session.view is not None:
            await session.view.tell(session, expunges)

    async def _tell_account(self, session: Session) -> None:
        for line in await self._metadata_lines(session, await self._look(session)):
            session.send(line)

    @property
    def abroad(self) -> bool:
        """Whether what others share is looked at."""
        return True

    async def _look(self, session: Session) -> Sight:
        """What the login sees, watched from before it is looked at."""
        sight = await look(session, abroad=self.abroad)
        while sight.owners - self._owners.keys():
            for owner in sight.owners - self._owners.keys():
                end = session.services.store.watch_account(owner, self._heard)
                self._owners[owner] = _Owner(end, await MetadataNews.begin(session, owner))
            if self._end_people is None:
                self._end_people = session.services.store.watch_people(self._heard)
            sight = await look(session, abroad=self.abroad)
        self._leave(self._owners.keys() - sight.owners)
        return sight

    def _leave(self, owners: AbstractSet[int]) -> None:
        for owner in tuple(owners):
            self._owners.pop(owner).end()
        if not self._owners and self._end_people is not None:
            self._end_people()
            self._end_people = None

    async def _metadata_lines(self, session: Session, sight: Sight) -> list[bytes]:
        if self.metadata is None:
            return []
        changed = await self.metadata.changed(session)
        for owner in tuple(self._owners.values()):
            for number, entries in (await owner.metadata.changed(session)).items():
                # What is private there is the owner's.
                visible = [name for name in entries if name.startswith("/shared/")]
                if number != ACCOUNT_WIDE and visible:
                    changed[number] = visible
        if not changed:
            return []
        names = {each.mailbox_id: each.name for each in sight.mailboxes}
        names[ACCOUNT_WIDE] = ""
        return [
            metadata_line(session, names[number], entries)
            for number, entries in changed.items()
            if number in names and self._wants_metadata(names[number])
        ]

    def _wants_metadata(self, mailbox: str) -> bool:
        """Whether changes of a mailbox's annotations, or (an empty name) of the server's, are told."""
        return True


async def enable_metadata(session: Session) -> None:
    """RFC 5464 §4.1: from now on changes of annotations are told."""
    if session.notices is None:
        session.notices = Notices(session, await MetadataNews.begin(session, session.account_id))
    elif session.notices.metadata is None:
        session.notices.metadata = await MetadataNews.begin(session, session.account_id)
    session.notices.enabled_metadata = True
