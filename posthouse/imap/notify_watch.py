"""What a NOTIFY session was told of its account's mailboxes, and what it must still be told (RFC 5465 §5, §6).

All that is kept is the list of mailboxes as the client knows it, which shares its values with the store's memory, and
the subscriptions. So changes that nobody was told of yet take no room, however many they are: they are one difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from posthouse.imap.notify_args import MESSAGE_EVENTS, Event, Group, Scope
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


def above(name: str) -> list[str]:
    """All levels above a name, the nearest last."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:i]) for i in range(1, len(levels))]


class Filter:
    """The event groups, ready to be asked about a name."""

    __slots__ = ("_groups",)

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = [(group.scope, frozenset(group.names), group.events) for group in groups]

    def events(self, name: str, subscribed: bool) -> frozenset[Event]:
        """What is told of a mailbox: RFC 5465 §6: several groups may apply to it, and are added up.

        NONE takes away what groups that name the mailbox less closely say.
        """
        found = _NOTHING
        matching = [group for group in self._groups if _matches(group[0], group[1], name, subscribed)]
        nothing_below = max((scope.value for scope, _, events in matching if not events), default=0)
        for scope, _, events in matching:
            if scope.value >= nothing_below:
                found |= events
        return found

    def wants(self, event: Event) -> bool:
        """Whether an event is asked for at all."""
        return any(event in events for _, _, events in self._groups)


def _matches(scope: Scope, names: frozenset[str], name: str, subscribed: bool) -> bool:
    if scope is Scope.MAILBOXES:
        return name in names
    if scope is Scope.SUBTREE:
        return "" in names or name in names or not names.isdisjoint(above(name))
    return scope is Scope.PERSONAL or subscribed


class Change(msgspec.Struct, frozen=True):
    """A mailbox as the client knows it (None: not at all), and as it is."""

    before: Mailbox | None
    after: Mailbox


class Difference(msgspec.Struct, frozen=True):
    """What happened to the account since the client was told."""

    changed: list[Change]
    gone: list[Mailbox]
    subscribed: frozenset[str]
    """Subscriptions as the client knows them."""
    resubscribed: frozenset[str]
    """Names that were subscribed or unsubscribed."""


class Watch:
    """The account as one client knows it."""

    __slots__ = ("filter", "known", "subscribed")

    def __init__(self, filter_: Filter, mailboxes: Iterable[Mailbox], subscribed: frozenset[str]) -> None:
        self.filter = filter_
        self.known = {mailbox.mailbox_id: mailbox for mailbox in mailboxes}
        self.subscribed = subscribed

    def difference(self, mailboxes: Sequence[Mailbox], subscribed: frozenset[str]) -> Difference:
        """What the client does not know; from now on it does."""
        known = self.known
        fresh = [each for each in mailboxes if known.get(each.mailbox_id) is not each]
        changed = []
        for each in fresh:
            before = known.get(each.mailbox_id)
            known[each.mailbox_id] = each
            if before != each:
                changed.append(Change(before, each))
        gone: list[Mailbox] = []
        if len(known) > len(mailboxes):
            gone = [known.pop(number) for number in known.keys() - {each.mailbox_id for each in mailboxes}]
        before_subscribed, self.subscribed = self.subscribed, subscribed
        return Difference(changed, gone, before_subscribed, before_subscribed ^ subscribed)

    # --- names --------------------------------------------------------------------------------------------

    def names(self, difference: Difference) -> dict[str, str | None]:
        """The names to be told by LIST (RFC 5465 §5.4, §5.5), each with the one it had before if it was renamed."""
        found: dict[str, str | None] = {}
        renamed = {
            change.before.name: change.after.name
            for change in difference.changed
            if change.before is not None and change.before.name != change.after.name
        }
        for old, new in renamed.items():
            # RFC 5465 §5.4: children are renamed with it, and not told
            moved = any(
                above_old in renamed and new == renamed[above_old] + old[len(above_old) :]
                for above_old in above(old)
            )
            if not moved and (self._wants_name(old, difference) or self._wants_name(new, difference)):
                found[new] = old
        made = [change.after.name for change in difference.changed if change.before is None]
        for name in (*made, *(mailbox.name for mailbox in difference.gone)):
            # RFC 5465 §5.4: the mailbox itself and its direct parent are affected, whether that exists or not
            for affected in (name, *above(name)[-1:]):
                if self._wants_name(affected, difference):
                    found.setdefault(affected, None)
        for name in difference.resubscribed:
            # The subscription changes the list itself (RFC 5465 §6.4), so it counts before and after.
            if Event.SUBSCRIPTION_CHANGE in self.filter.events(name, True):
                found.setdefault(name, None)
        return found

    def _wants_name(self, name: str, difference: Difference) -> bool:
        subscribed = name in self.subscribed or name in difference.subscribed
        return Event.MAILBOX_NAME in self.filter.events(name, subscribed)

    # --- messages -----------------------------------------------------------------------------------------

    def message_events(self, mailbox: Mailbox) -> frozenset[Event]:
        """What is told of messages in a mailbox that is not selected."""
        return self.filter.events(mailbox.name, mailbox.name in self.subscribed) & MESSAGE_EVENTS

    def status(self, change: Change, difference: Difference, condstore: bool) -> tuple[bytes, ...]:
        """The STATUS items that tell what happened to a mailbox's messages; none: nothing that is asked for."""
        before, after = change.before, change.after
        events = self.message_events(after)
        if not events:
            return ()
        flags = Event.FLAG_CHANGE in events
        if before is not None and not self._watched_before(before, difference):
            before = None  # RFC 5465 §6.4: it belongs to the list only now
        if before is None:
            # What took the place of another has another UIDVALIDITY (RFC 5465 §5.1).
            replaced = any(mailbox.name == after.name for mailbox in difference.gone)
            moved = replaced or after.uid_next > 1
        else:
            moved = (before.total, before.uid_next) != (after.total, after.uid_next)
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
        return tuple(items) if moved or (before is not None and len(items) > 1) else ()

    def _watched_before(self, before: Mailbox, difference: Difference) -> bool:
        events = self.filter.events(before.name, before.name in difference.subscribed)
        return not MESSAGE_EVENTS.isdisjoint(events)

    # --- what the client did itself -------------------------------------------------------------------------

    def note_own(self, op: Op[Any], result: Any) -> None:
        """The client knows what it did (RFC 5465 §5), as long as nobody else did something before it there."""
        known = self.known
        if isinstance(op, CreateMailbox):
            known[result.mailbox_id] = result
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
            known[op.mailbox_id] = msgspec.structs.replace(mailbox, total=mailbox.total - len(result.uids))

    def _renamed(self, op: RenameMailbox) -> None:
        mailbox = self.known.get(op.mailbox_id)
        if mailbox is None:
            return
        old = mailbox.name
        for number, each in tuple(self.known.items()):
            if each.name == old or each.name.startswith(old + SEPARATOR):
                self.known[number] = msgspec.structs.replace(each, name=op.name + each.name[len(old) :])

    def _came(self, mailbox_id: int, uid: int, count: int, *, seen: bool | None) -> None:
        mailbox = self.known.get(mailbox_id)
        if mailbox is None or mailbox.uid_next != uid:
            return  # what came before it is to be told, and this with it
        self.known[mailbox_id] = msgspec.structs.replace(
            mailbox,
            total=mailbox.total + count,
            uid_next=uid + count,
            unseen=mailbox.unseen + (seen is False),
        )
