"""What a client is told beyond the selected mailbox: changed annotations, once it has enabled METADATA (RFC 5464 §4.1).

Made only for a session that asked, so that all others stay as small as they are. Nothing is queued: a commit to the
account only sets a mark, and what there is to tell is found by comparing, at the end of a command or during IDLE.
"""

from __future__ import annotations

from collections.abc import Callable

from posthouse.imap.metadata_news import MetadataNews, metadata_line
from posthouse.imap.session import Session
from posthouse.store.metadata import ACCOUNT_WIDE


class Notices:
    """What one session has asked to be told of its account."""

    __slots__ = ("_end_watch", "_news", "on_change", "stirred")

    def __init__(self, session: Session, news: MetadataNews) -> None:
        self._news = news
        self.stirred = False
        """Something was committed since the client was last told."""
        self.on_change: Callable[[], None] | None = None
        """IDLE's wish to hear of every change."""
        self._end_watch = session.store.watch_account(session.account_id, self._heard)

    def close(self) -> None:
        """Watch no more."""
        self._end_watch()
        self.on_change = None

    def rest(self) -> None:
        """There is nothing that could be had again."""

    def _heard(self) -> None:
        self.stirred = True
        if self.on_change is not None:
            self.on_change()

    def note_own_metadata(self, modseq: int) -> None:
        """This session has set annotations itself."""
        self._news.note_own(modseq)

    async def tell(self, session: Session) -> None:
        """Send what the client does not know yet."""
        if not self.stirred:
            return
        self.stirred = False
        try:
            await self._tell_metadata(session)
        except BaseException:
            self.stirred = True
            raise

    async def _tell_metadata(self, session: Session) -> None:
        changed = await self._news.changed(session)
        if not changed:
            return
        names = {each.mailbox_id: each.name for each in await session.store.mailboxes(session.account_id)}
        names[ACCOUNT_WIDE] = ""
        for number, entries in changed.items():
            if number in names:
                session.send(metadata_line(session, names[number], entries))


async def enable_metadata(session: Session) -> None:
    """RFC 5464 §4.1: from now on changes of annotations are told."""
    if session.notices is None:
        session.notices = Notices(session, await MetadataNews.begin(session))
