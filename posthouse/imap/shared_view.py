"""A selected mailbox that is another's: what the client may do in it can change, or end, at any moment.

After every change of the owner's account the rights are in doubt; whether the grant has changed is then answered from
memory, and no command begins before. A mailbox that is shared no more, or whose owner is gone or disabled, becomes what
one is that was deleted while it was selected (RFC 2180 §3.2): its messages vanish, and nothing can be read or changed.
Changed rights are told (RFC 4314 §5.1.1).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final

from posthouse.accounts.shared_mailboxes import granted
from posthouse.errors import NotFound, StoreUnavailable, Temporary
from posthouse.imap import acl
from posthouse.imap.mailboxes_seen import Seen, given_rights
from posthouse.imap.rows import FlagTexts, Rows
from posthouse.imap.view import View
from posthouse.ranges import Ranges
from posthouse.store import grants
from posthouse.store.interface import Store
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import KEYWORD_SHIFT

if TYPE_CHECKING:
    from posthouse.imap.session import Session

log = logging.getLogger("posthouse.imap")
_UNKNOWN: Final = -1


class SharedView(View):
    """See `View`."""

    __slots__ = (
        "_caller",
        "_changed_since",
        "_end_watch_of_owner",
        "_examined",
        "_in_doubt",
        "_looking",
        "_news",
        "_rights",
        "_seen_grants",
        "_used",
    )

    def __init__(
        self, store: Store, index: MailboxIndex, seen: Seen, *, caller: int, read_only: bool
    ) -> None:
        """`caller`: the account that looks at it; `read_only`: by EXAMINE."""
        self._rights = seen.rights
        self._caller = caller
        self._examined = read_only
        self._seen_grants = _UNKNOWN
        """The state of the owner's grants when the rights were read."""
        self._news = False
        """Whether the client does not know yet that rights have changed."""
        self._used = (_UNKNOWN, 0)
        """(mod-sequence, the keywords in use then)"""
        self._looking: asyncio.Task[None] | None = None
        self._in_doubt = self._changed_since = True  # what changed while the index was loaded was not heard
        super().__init__(
            store, index, mailbox_name=seen.name, read_only=read_only or not seen.rights & acl.WRITES
        )
        # grants, and whether the owner is disabled or removed: all are changes of the owner's account
        self._end_watch_of_owner = store.watch_account(index.account_id, self._doubt)

    def close(self) -> None:
        """Stop watching the mailbox and its owner."""
        self._end_watch_of_owner()
        super().close()

    # --- rights -------------------------------------------------------------------------------------------

    @property
    def rights(self) -> acl.Rights:
        """As the owner has given them."""
        return self._rights

    @property
    def in_doubt(self) -> bool:
        """Whether the owner's account has changed since the rights were looked at."""
        return self._in_doubt

    @property
    def lost(self) -> bool:
        """Whether nothing here is to be read any more."""
        return "r" not in self._rights

    def _doubt(self) -> None:
        """The owner's account has changed: look soon, also when no command comes."""
        self._in_doubt = self._changed_since = True
        if not self.lost:
            self._begin_to_look()

    def _begin_to_look(self) -> asyncio.Task[None]:
        """One reads at a time, so that nothing older takes the place of what is newer."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_until_sure())
        return self._looking

    async def look(self) -> None:
        """Wait until the rights are known as they are now. StoreUnavailable."""
        await asyncio.wait((self._begin_to_look(),))
        if self._in_doubt:
            raise StoreUnavailable("The rights to the mailbox cannot be read now.")

    async def _look_until_sure(self) -> None:
        try:
            while self._changed_since:
                self._changed_since = False
                self._take(await self._present_rights())
            self._in_doubt = False
        except Temporary:
            self._changed_since = True  # the next command looks, and is refused until that is possible
        except Exception:
            self._changed_since = True
            log.exception("fault: the rights to a mailbox could not be looked at")
        finally:
            self._looking = None
        if self.on_change is not None and self.behind(expunges=True):
            self.on_change()

    async def _present_rights(self) -> acl.Rights:
        store, owner = self.store, self.index.account_id
        if self.index.removed:
            return acl.NONE  # the owner has deleted it; what is still in memory of it is not read either
        account = await store.account_by_id(owner)
        if account is None or account.disabled:
            return acl.NONE
        try:
            state = (await store.states(owner)).kinds.get(grants.KIND, 0)
            if state == self._seen_grants:
                return self._rights
            grant = await granted(store, owner, self._caller)
            boxes = await store.mailboxes(owner)
        except NotFound:
            return acl.NONE  # the account was removed
        box = next((each for each in boxes if each.mailbox_id == self.index.mailbox_id), None)
        if grant is None or box is None:
            return acl.NONE
        self._seen_grants = state
        return given_rights(grants.decode(grant.data).mailboxes.get(box.mailbox_id), box)

    def _take(self, rights: acl.Rights) -> None:
        if rights == self._rights:
            return
        self._rights = rights
        self._news = True
        self.read_only = self._examined or not rights & acl.WRITES
        if self.lost:
            self._lose()

    def _lose(self) -> None:
        """Nothing shows any more: what is left looks like a mailbox that was deleted."""
        self._end_watch()
        self._end_watch_of_owner()
        nothing = MailboxIndex(self.index.account_id, self.index.mailbox_id, self.index.uid_validity)
        nothing.uid_next, nothing.highest_modseq = self.uid_next, self.index.highest_modseq
        nothing.removed = True
        self.index = nothing
        self.saved = Ranges()

    # --- what the client knows ----------------------------------------------------------------------------

    def rows(self, uids: Ranges, size: int) -> Iterator[Rows]:
        """As for one's own mailbox, until it is shared no more."""
        for rows in super().rows(uids, size):
            if self.lost:
                return
            yield rows

    async def texts(self) -> FlagTexts:
        """The names of flags; of a mailbox that is gone, those of the system."""
        return FlagTexts(()) if self.index.removed else await super().texts()

    def _shown(self, keywords: tuple[str, ...]) -> Sequence[str]:
        """Keywords that messages here have: others that the owner uses elsewhere are nobody's business."""
        used = self._known_by(keywords)
        return [name for place, name in enumerate(keywords) if used >> place & 1]

    def _known_by(self, keywords: tuple[str, ...]) -> int:
        modseq, used = self._used
        if modseq != self.index.highest_modseq:
            used = reduce(or_, self.index.flags, 0) >> KEYWORD_SHIFT
            self._used = (self.index.highest_modseq, used)
        return used

    # --- telling ------------------------------------------------------------------------------------------

    def behind(self, expunges: bool) -> bool:
        """Whether there is something to tell, of rights too."""
        return self._news or super().behind(expunges)

    async def tell(self, session: Session, expunges: bool) -> None:
        """Tell changed rights first, then as always."""
        if self._news:
            self._news = False
            if not self.index.removed:
                session.send(self.flags_line((await self.texts()).keywords))
                # RFC 9051 §7.1: the access to a selected mailbox has changed
                code = b"READ-ONLY" if self.read_only else b"READ-WRITE"
                session.send(b"* OK [%b] The rights to the mailbox have changed\r\n" % code)
        await super().tell(session, expunges)
