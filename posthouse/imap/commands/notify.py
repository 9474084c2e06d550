"""NOTIFY (RFC 5465): what happens in the account is told at once, also outside of any command.

What is told of other mailboxes is the difference between the account as the client knows it and as it is, so that
any number of changes is one STATUS or LIST. The limits are NOTIFY_MAILBOXES and NOTIFY_WAITING; beyond them the client
is told so, and nothing more (§5.8).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from posthouse import limits
from posthouse.imap import acl, encode
from posthouse.imap.commands.fetch import Fetch
from posthouse.imap.commands.list import SPECIAL_USE
from posthouse.imap.commands.row import AUTHENTICATED, Command, No
from posthouse.imap.commands.status import counted_line
from posthouse.imap.fetch_plan import plan_of
from posthouse.imap.mailbox_name import above
from posthouse.imap.metadata_news import MetadataNews
from posthouse.imap.notices import Notices
from posthouse.imap.notify_args import Event, Selected, Wish, parse_notify
from posthouse.imap.notify_watch import Filter, Named, Watch
from posthouse.imap.session import Session
from posthouse.imap.sight import Sight
from posthouse.imap.told import Heeds
from posthouse.imap.view import View, give_way
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.interface import AddEmail, CopyEmails, Expunge, MoveEmails, Op
from posthouse.store.model import Role

_OVERFLOW: Final = b"NOTIFICATIONOVERFLOW"
_WORDS: Final = "There is more to tell than is told: as after NOTIFY NONE, nothing is"
_TURN: Final = 200
"""Mailboxes looked at before other sessions have a turn."""


class _Overflow(Exception):
    """There is too much to watch or to tell."""


class Watching(Notices):
    """What a session that used NOTIFY is told."""

    __slots__ = ("_abroad", "_heeds", "_next", "_own_new", "_selected", "_view", "_watch", "wish")

    def __init__(self, session: Session, metadata: MetadataNews | None) -> None:
        super().__init__(session, metadata)
        self.wish = Wish()
        self._abroad = False
        self._watch: Watch | None = None
        self._selected: Selected = self.wish.selected
        self._heeds = Heeds(messages=False, flags=False)
        self._view: View | None = None
        self._next = 1
        """Of that view: the first UID that would be new to the client."""
        self._own_new = EMPTY
        """UIDs in the selected mailbox that the client has brought itself."""

    @property
    def at_once(self) -> bool:
        """Whether there is anything to tell outside of commands."""
        return self._watch is not None or self._heeds.messages

    @property
    def delayed(self) -> bool:
        """SELECTED-DELAYED."""
        return self._selected.delayed

    # --- what is wished -------------------------------------------------------------------------------------

    async def follow(self, session: Session, wish: Wish) -> None:
        """From now on this. What the last wish still has to tell must have been told. Raises _Overflow."""
        watch = None
        if wish.groups:
            filter_ = Filter(wish.groups)
            self._abroad = filter_.abroad
            sight = await self._look(session)
            watch = Watch(filter_, self.account_id, sight)
            if self._watch is not None:
                # What the client was told until now; of others it may know more than it was told of.
                watch.known |= self._watch.known
                watch.subscribed = self._watch.subscribed
            if len(sight.mailboxes) > limits.NOTIFY_MAILBOXES:
                raise _Overflow
        metadata_events = (Event.MAILBOX_METADATA_CHANGE, Event.SERVER_METADATA_CHANGE)
        if watch is not None and any(map(watch.filter.wants, metadata_events)):
            self.metadata = self.metadata or await MetadataNews.begin(session, self.account_id)
        elif not self.enabled_metadata:
            self.metadata = None
        self._settle(session, wish, watch)

    @property
    def abroad(self) -> bool:
        """Whether what others share is looked at."""
        return self._abroad or self.enabled_metadata

    def _settle(self, session: Session, wish: Wish, watch: Watch | None) -> None:
        self.wish, self._watch, self._selected = wish, watch, wish.selected
        own_gone = self._heeds.own_gone
        events = wish.selected.events
        self._heeds = Heeds(messages=Event.MESSAGE_NEW in events, flags=Event.FLAG_CHANGE in events)
        self._heeds.own_gone = own_gone
        self._own_new = EMPTY
        self.stirred = True
        if session.view is not None:
            session.view.heeds = self._heeds
            session.view.store = self.store

    async def send_status(self, session: Session) -> None:
        """RFC 5465 §3.1: the STATUS of each mailbox of whose messages something will be told, but the selected one."""
        if self._watch is None:
            return
        selected = _selected_id(session)
        for place, mailbox in enumerate(tuple(self._watch.known.values())):
            events = self._watch.message_events(mailbox)
            if events and mailbox.mailbox_id != selected:
                items = [b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"]
                if Event.FLAG_CHANGE in events:
                    items += [b"UNSEEN", b"HIGHESTMODSEQ"]
                session.send(counted_line(session, mailbox, tuple(items)))
            if place % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            await give_way(session)

    # --- telling --------------------------------------------------------------------------------------------

    def note_own(self, op: Op[Any], result: Any) -> None:
        """This session has committed something itself."""
        super().note_own(op, result)
        if self._watch is not None:
            self._watch.note_own(op, result)
        view = self._view
        if view is None or view.index.removed:
            return
        number = view.index.mailbox_id
        if isinstance(op, AddEmail) and op.mailbox_id == number:
            self._own_new = self._own_new | Ranges.of((result.uid,))
        elif isinstance(op, CopyEmails | MoveEmails) and op.target_id == number:
            self._own_new = self._own_new | result.target
        if self._heeds.messages:
            return
        if isinstance(op, MoveEmails) and op.source_id == number:
            self._heeds.own_gone = self._heeds.own_gone | result.source
        elif isinstance(op, Expunge) and op.mailbox_id == number:
            self._heeds.own_gone = self._heeds.own_gone | result.uids

    def behind(self, session: Session, expunges: bool) -> bool:
        """Whether there may be something to tell."""
        if self.stirred:
            return True
        return self._heeds.messages and session.view is not None and session.view.behind(expunges)

    async def tell(self, session: Session, expunges: bool) -> None:
        """Send what the client does not know yet."""
        view = session.view
        if view is not self._view:
            self._turn_to(view)
        await super().tell(session, expunges)
        if view is None:
            return
        if view.uid_next > self._next:
            if self._selected.items and view.in_doubt:
                await view.look()  # RFC 4314 §5.1.1: rights are as they are now
            first, self._next = self._next, view.uid_next
            new = view.known & Ranges.between(first, view.uid_next - 1)
            own, self._own_new = self._own_new, EMPTY
            if self._selected.items:
                await self._fetch_new(session, view, new - own)
        number = view.index.mailbox_id
        if self._watch is not None and number in self._watch.known:
            # RFC 5465 §3.1: of it SELECTED alone decides; what is not told by then, is told when it has been left.
            self._watch.note(view.as_told(self._watch.known[number]))

    def _turn_to(self, view: View | None) -> None:
        """Another mailbox is selected, or none."""
        self._view, self._own_new, self._heeds.own_gone = view, EMPTY, EMPTY
        self.stirred = True  # of the one that was left there may be something to tell
        if view is not None:
            view.heeds = self._heeds
            self._next = view.uid_next

    async def _fetch_new(self, session: Session, view: View, uids: Ranges) -> None:
        """RFC 5465 §5.2: EXISTS was told; what is asked for of each new message follows."""
        plan = plan_of(self._selected.items)
        texts = await view.texts()
        for first, last in uids.pairs():
            for uid in range(first, last + 1):
                fetch = Fetch(session, view, plan, texts, Ranges.of((uid,)))
                try:
                    if self._selected.sets_seen and view.may(acl.SEEN):
                        await fetch.run_and_mark_seen()
                    else:
                        await fetch.run()
                except No:
                    pass  # of this message it cannot be told
                await give_way(session)

    async def _tell_account(self, session: Session) -> None:
        sight = await self._look(session)
        lines = await self._metadata_lines(session, sight)
        # From here to the end of the lines nothing waits: what is taken for told is told.
        try:
            lines += self._mailbox_lines(session, sight)
        except _Overflow:
            # RFC 5465 §5.8
            self._settle(session, Wish(), None)
            self.metadata = self.metadata if self.enabled_metadata else None
            lines.append(b"* OK [%b] %b\r\n" % (_OVERFLOW, encode.text(_WORDS)))
        for line in lines:
            session.send(line)
            await give_way(session)

    def _mailbox_lines(self, session: Session, sight: Sight) -> list[bytes]:
        watch = self._watch
        if watch is None:
            return []
        if len(sight.mailboxes) > limits.NOTIFY_MAILBOXES:
            raise _Overflow
        difference = watch.difference(sight)
        names = watch.names(difference)
        lines = _name_lines(names, sight, session.utf8) if names else []
        selected = _selected_id(session)
        for change in difference.changed:
            if change.after.mailbox_id == selected:
                continue
            items = watch.status(change, difference, session.condstore)
            if items:
                lines.append(counted_line(session, change.after, items))
        if len(lines) > limits.NOTIFY_WAITING:
            raise _Overflow
        return lines

    def _wants_metadata(self, mailbox: str) -> bool:
        if self.enabled_metadata:
            return True
        if self._watch is None:
            return False
        if not mailbox:
            return self._watch.filter.wants(Event.SERVER_METADATA_CHANGE)
        events = self._watch.filter.events(mailbox, mailbox in self._watch.subscribed)
        return Event.MAILBOX_METADATA_CHANGE in events


def _selected_id(session: Session) -> int:
    """The number of the selected mailbox, or 0."""
    return 0 if session.view is None else session.view.index.mailbox_id


def _name_lines(names: list[Named], sight: Sight, utf8: bool) -> list[bytes]:
    """RFC 5465 §5.4, §5.5: a LIST response for each name, with all attributes as they are now."""
    existing = {mailbox.name: mailbox for mailbox in sight.mailboxes}
    parents = {level for name in existing for level in above(name)}
    lines = []
    for named in names:
        name = named.name
        mailbox = None if named.gone else existing.get(name)
        attributes = [b"\\NonExistent", b"\\Noselect"] if mailbox is None else []
        attributes.append(b"\\HasChildren" if name in parents else b"\\HasNoChildren")
        if mailbox is not None and mailbox.role not in (None, Role.INBOX):
            attributes.append(SPECIAL_USE[mailbox.role])
        if name in sight.subscribed:
            attributes.append(b"\\Subscribed")
        extended = b""
        if named.old is not None:
            extended = b' ("OLDNAME" (%b))' % encode.mailbox(named.old, utf8=utf8)
        shown = encode.mailbox(name, utf8=utf8)
        lines.append(b'* LIST (%b) "/" %b%b\r\n' % (b" ".join(attributes), shown, extended))
    return lines


async def run_notify(session: Session, wish: Wish) -> None:
    """Watch what is wished from now on."""
    # RFC 5465 §3.1: an implicit NOOP; and nothing of what was wished until now is lost.
    await session.tell(expunges=True)
    watching = session.notices
    if not isinstance(watching, Watching):
        made = Watching(session, None if watching is None else watching.metadata)
        if watching is not None:
            made.enabled_metadata = watching.enabled_metadata
            made.stirred = watching.stirred
            watching.close()
        session.notices = watching = made
    try:
        await watching.follow(session, wish)
    except _Overflow:
        raise No(_OVERFLOW, "There are too many mailboxes to watch") from None
    if wish.status:
        await watching.send_status(session)


NOTIFY: Final = Command(
    name=b"NOTIFY",
    states=AUTHENTICATED,
    parse=parse_notify,
    run=run_notify,
    capabilities=(b"NOTIFY",),
    rfc="RFC 5465 §3.1",
)
ROWS: Final = (NOTIFY,)
