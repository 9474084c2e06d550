"""What a NOTIFY session was told of its account's mailboxes, and what it must still be told (RFC 5465 §5, §6).

All that is kept is the list of mailboxes as the client knows it, which shares its values with the store's memory, and
the subscriptions. So changes that nobody was told of yet take no room, however many they are: they are one difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import is_not
from typing import Any, Final

import msgspec

from posthouse.imap.filter_mailboxes import Scope, is_meant
from posthouse.imap.mailbox_name import above
from posthouse.imap.mailboxes_seen import is_shared_name
from posthouse.imap.notify_args import MESSAGE_EVENTS, Event, Group
from posthouse.imap.notify_names import NameNews
from posthouse.imap.sight import Sight
from posthouse.store.interface import (
    AddEmail,
    CopyEmails,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    MoveEmails,
    Op,
    RenameMailbox,
    Subscribe,
)
from posthouse.store.model import SEPARATOR, Mailbox

_NOTHING: Final[frozenset[Event]] = frozenset()


class Filter:
    """The event groups, ready to be asked about a name."""

    __slots__ = ("_groups",)

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = [(group.scope, frozenset(group.names), group.events) for group in groups]

    def events(self, name: str, subscribed: bool, *, personal: bool | None = None) -> frozenset[Event]:
        """What is told of a mailbox: RFC 5465 §6: several groups may apply to it, and are added up.

        NONE takes away what groups that name the mailbox less closely say. `personal`: whether it is one's own; None:
        as its name tells.
        """
        found = _NOTHING
        if personal is None:
            personal = not is_shared_name(name)
        matching = [
            group
            for group in self._groups
            if is_meant(group[0], group[1], name, personal=personal, subscribed=subscribed)
        ]
        nothing_below = max((scope.value for scope, _, events in matching if not events), default=0)
        for scope, _, events in matching:
            if scope.value >= nothing_below:
                found |= events
        return found

    @property
    def abroad(self) -> bool:
        """Whether others' mailboxes may be meant."""
        return any(scope is not Scope.PERSONAL for scope, _, _ in self._groups)

    def wants(self, event: Event) -> bool:
        """Whether an event is asked for at all."""
        return any(event in events for _, _, events in self._groups)


class Change(msgspec.Struct, frozen=True):
    """A mailbox as the client knows it (None: not at all), and as it is."""

    before: Mailbox | None
    after: Mailbox


class Named(msgspec.Struct, frozen=True):
    """A name to be told."""

    name: str
    old: str | None = None
    """The name that it had before."""
    gone: bool = False
    """Whatever stands there now, what the client knows there is no more."""


class Difference(msgspec.Struct, frozen=True):
    """What happened to the account since the client was told."""

    changed: list[Change]
    gone: list[Mailbox]
    subscribed: frozenset[str]
    """Subscriptions as the client knows them."""
    resubscribed: frozenset[str]
    """Names that were subscribed or unsubscribed."""
    names: NameNews | None
    """How names changed, when some mailbox has another than before."""

    def is_same(self, change: Change) -> bool:
        """Whether the client knows that the mailbox is what it was, under whatever name."""
        before, after = change.before, change.after
        if before is None or self.names is None:
            return before is not None
        return self.names.is_same(after.mailbox_id)


class Watch:
    """The account as one client knows it."""

    __slots__ = ("_account_id", "_apart", "_list", "filter", "known", "subscribed")

    def __init__(self, filter_: Filter, account_id: int, sight: Sight) -> None:
        self.filter = filter_
        self._account_id = account_id
        self.known = {mailbox.mailbox_id: mailbox for mailbox in sight.mailboxes}
        self.subscribed = sight.subscribed
        self._list: Sequence[Mailbox] = ()
        """The store's list as it was compared last."""
        self._apart = True
        """Some mailbox is known otherwise than it stands there."""

    def note(self, mailbox: Mailbox) -> None:
        """The client knows it like this."""
        if self.known.get(mailbox.mailbox_id) is not mailbox:
            self.known[mailbox.mailbox_id] = mailbox
            self._apart = True

    def _fresh(self, mailboxes: Sequence[Mailbox]) -> list[Mailbox]:
        """Those that are not the very values that are known."""
        before, self._list = self._list, mailboxes
        if self._apart or len(before) != len(mailboxes):
            self._apart = False
            return [each for each in mailboxes if self.known.get(each.mailbox_id) is not each]
        return list(compress(mailboxes, map(is_not, mailboxes, before)))

    def difference(self, sight: Sight) -> Difference:
        """What the client does not know; from now on it does."""
        known, mailboxes = self.known, sight.mailboxes
        fresh = self._fresh(mailboxes)
        changed = [Change(known.get(each.mailbox_id), each) for each in fresh]
        renamed = any(each.before is not None and each.before.name != each.after.name for each in changed)
        names_before = {number: each.name for number, each in known.items()} if renamed else {}
        known.update((each.mailbox_id, each) for each in fresh)
        gone: list[Mailbox] = []
        if len(known) > len(mailboxes):
            gone = [known.pop(number) for number in known.keys() - {each.mailbox_id for each in mailboxes}]
        subscribed, self.subscribed = self.subscribed, sight.subscribed
        names = None
        if renamed:
            names = NameNews(
                names_before,
                {number: each.name for number, each in known.items()},
                lambda name: self._wants_name(name, subscribed),
            )
        changed = [each for each in changed if each.before is not each.after and each.before != each.after]
        if names is not None:
            changed_too = set(names.astray()) - {each.after.mailbox_id for each in changed}
            changed += [Change(known[number], known[number]) for number in changed_too]
        return Difference(changed, gone, subscribed, subscribed ^ sight.subscribed, names)

    # --- names --------------------------------------------------------------------------------------------

    def names(self, difference: Difference) -> list[Named]:
        """The names to be told by LIST (RFC 5465 §5.4, §5.5), in order."""
        gone = {mailbox.name for mailbox in difference.gone}
        affected = {change.after.name for change in difference.changed if change.before is None} | gone
        # RFC 5465 §5.4: the mailbox itself and its direct parent are affected, whether that exists or not
        affected |= {level for name in affected for level in above(name)[-1:]}
        before = difference.subscribed
        told = [Named(name, gone=True) for name in sorted(gone) if self._wants_name(name, before)]
        if difference.names is not None:
            told += [Named(name, old) for name, old in difference.names.renames]
            affected |= difference.names.moved()
            done = {name for name, _ in difference.names.renames} - difference.names.moved()
        else:
            there = {mailbox.name for mailbox in self.known.values()} if gone else set()
            told = [each for each in told if each.name not in there]
            done = gone - there
        rest = {name for name in affected - done if self._wants_name(name, before)}
        # The subscription changes the list itself (RFC 5465 §6.4), so it counts before and after.
        rest |= {
            name
            for name in difference.resubscribed - done
            if Event.SUBSCRIPTION_CHANGE in self.filter.events(name, True)
        }
        return told + [Named(name) for name in sorted(rest)]

    def _wants_name(self, name: str, subscribed_before: frozenset[str]) -> bool:
        subscribed = name in self.subscribed or name in subscribed_before
        return Event.MAILBOX_NAME in self.filter.events(name, subscribed)

    # --- messages -----------------------------------------------------------------------------------------

    def message_events(self, mailbox: Mailbox) -> frozenset[Event]:
        """What is told of messages in a mailbox that is not selected."""
        # RFC 5465 §5 asks for the rights "l" and "r", which are given together (`imap.acl`).
        return self.events(mailbox) & MESSAGE_EVENTS

    def events(self, mailbox: Mailbox) -> frozenset[Event]:
        """What is asked for of a mailbox."""
        personal = mailbox.account_id == self._account_id
        return self.filter.events(mailbox.name, mailbox.name in self.subscribed, personal=personal)

    def status(self, change: Change, difference: Difference, condstore: bool) -> tuple[bytes, ...]:
        """The STATUS items that tell what happened to a mailbox's messages; none: nothing that is asked for."""
        before, after = change.before, change.after
        events = self.message_events(after)
        if not events:
            return ()
        flags = Event.FLAG_CHANGE in events
        if before is not None and not (
            difference.is_same(change) and self._watched_before(before, difference)
        ):
            before = (
                None  # RFC 5465 §6.4: it belongs to the list only now, or nobody told that it was renamed
            )
        # RFC 5465 §5.1: what stands newly under this name may have another UIDVALIDITY than what was there.
        moved = before is None or (before.total, before.uid_next) != (after.total, after.uid_next)
        items = [b"UIDVALIDITY"]
        if moved:
            items = [b"MESSAGES", b"UIDNEXT", *items]
        if flags and (before is None or before.unseen != after.unseen):
            items.append(b"UNSEEN")
        if condstore and (
            moved or (flags and before is not None and before.highest_modseq != after.highest_modseq)
        ):
            # RFC 5465 §5.1-5.3: once CONDSTORE or QRESYNC is on
            items.append(b"HIGHESTMODSEQ")
        return tuple(items) if len(items) > 1 else ()

    def _watched_before(self, before: Mailbox, difference: Difference) -> bool:
        personal = before.account_id == self._account_id
        events = self.filter.events(before.name, before.name in difference.subscribed, personal=personal)
        return not MESSAGE_EVENTS.isdisjoint(events)

    # --- what the client did itself -------------------------------------------------------------------------

    def note_own(self, op: Op[Any], result: Any) -> None:
        """The client knows what it did (RFC 5465 §5), as long as nobody else did something before it there."""
        known = self.known
        if isinstance(op, CreateMailbox | RenameMailbox | Subscribe) and op.account_id != self._account_id:
            pass  # under which name that shows here is known only when it is looked at
        elif isinstance(op, CreateMailbox):
            self.note(result)
        elif isinstance(op, DeleteMailbox):
            known.pop(op.mailbox_id, None)
        elif isinstance(op, RenameMailbox):
            self._renamed(op)
        elif isinstance(op, Subscribe):
            self.subscribed = self.subscribed | {op.name} if op.subscribed else self.subscribed - {op.name}
        elif isinstance(op, AddEmail):
            self._came(op.mailbox_id, result.uid, 1, seen="\\Seen" in op.flags)
        elif isinstance(op, CopyEmails | MoveEmails) and result.target:
            self._came(op.target_id, result.target.first, len(result.target), seen=None)
        elif isinstance(op, Expunge) and op.mailbox_id in known:
            mailbox = known[op.mailbox_id]
            self.note(msgspec.structs.replace(mailbox, total=mailbox.total - len(result.uids)))

    def _renamed(self, op: RenameMailbox) -> None:
        mailbox = self.known.get(op.mailbox_id)
        if mailbox is None:
            return
        old = mailbox.name
        for each in tuple(self.known.values()):
            if each.name == old or each.name.startswith(old + SEPARATOR):
                self.note(msgspec.structs.replace(each, name=op.name + each.name[len(old) :]))

    def _came(self, mailbox_id: int, uid: int, count: int, *, seen: bool | None) -> None:
        mailbox = self.known.get(mailbox_id)
        if mailbox is None or mailbox.uid_next != uid:
            return  # what came before it is to be told, and this with it
        self.note(
            msgspec.structs.replace(
                mailbox,
                total=mailbox.total + count,
                uid_next=uid + count,
                unseen=mailbox.unseen + (seen is False),
            )
        )
