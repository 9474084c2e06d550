"""Which annotations changed since a session was last told (RFC 5464 §4.4.2), its own changes left out.

All that is kept is a mod-sequence: entries say when they changed, removed ones too (`store.metadata`).
"""

from __future__ import annotations

from posthouse.imap import encode
from posthouse.imap.session import Session
from posthouse.store.metadata import KIND, decode


class MetadataNews:
    """What one session knows of the annotations of an account."""

    __slots__ = ("_account_id", "_own", "_since")

    def __init__(self, account_id: int, since: int) -> None:
        self._account_id = account_id
        self._since = since
        self._own: set[int] = set()
        """Mod-sequences of what this session changed itself: only a third party's changes are told."""

    @classmethod
    async def begin(cls, session: Session, account_id: int) -> MetadataNews:
        """From now on."""
        states = await session.store.states(account_id)
        return cls(account_id, states.kinds.get(KIND, 0))

    def note_own(self, modseq: int) -> None:
        """This session has set something."""
        self._own.add(modseq)

    async def changed(self, session: Session) -> dict[int, list[str]]:
        """By number of the mailbox (`ACCOUNT_WIDE`: of none), the names of the entries that changed."""
        store, account_id = session.store, self._account_id
        since, now = self._since, (await store.states(account_id)).kinds.get(KIND, 0)
        if now <= since:
            return {}
        changes = await store.item_changes(account_id, KIND, since)
        numbers = None if changes is None else [each.item_id for each in changes if not each.gone]
        found: dict[int, list[str]] = {}
        for item in await store.items(account_id, KIND, numbers):
            # What came after `now` is told the next time, with what else came by then.
            names = [
                name
                for name, entry in decode(item.data).items()
                if since < entry.modseq <= now and entry.modseq not in self._own
            ]
            if names:
                found[item.item_id] = sorted(names)
        self._since = now
        self._own = {modseq for modseq in self._own if modseq > now}
        return found


def metadata_line(session: Session, mailbox: str, names: list[str]) -> bytes:
    """The unsolicited response: names only, without values."""
    listed = b" ".join(encode.astring(name.encode("ascii")) for name in names)
    return b"* METADATA %b %b\r\n" % (encode.mailbox(mailbox, utf8=session.utf8), listed)
